import Foundation
import Glibc
package import GrootCore
package import Logging

/// What the operator reads: on a terminal one line that refreshes ten times a second, else a summary every two
/// seconds; and at most one "No action available" per second.
///
/// Owned by the episode runner's task.
package struct StatusLine: Sendable {
    /// The ancestor's period, so that old habits of reading logs still work.
    package static let period: Duration = .seconds(2)

    private let logger: Logger
    private let mode: RequestPlanner.Mode
    private let isTerminal: Bool
    private let console: TerminalConsole
    private var summary = RateLimit(every: period)
    private var refresh = RateLimit(every: .milliseconds(100))
    private var starving = RateLimit(every: .seconds(1))
    private var seenStarved: UInt64 = 0
    private var unreported: UInt64 = 0

    package init(
        mode: RequestPlanner.Mode,
        logger: Logger,
        console: TerminalConsole = .shared,
        isTerminal: Bool = isatty(STDOUT_FILENO) == 1
    ) {
        self.mode = mode
        self.console = console
        self.logger = logger
        self.isTerminal = isTerminal
    }

    package mutating func update(status: SessionStatus, tally: UplinkTally, at now: MonotonicInstant) {
        let starved = status.counters.starvedTicks
        unreported += starved - min(starved, seenStarved)
        seenStarved = starved
        // In sync mode standing still between two chunks is the plan, not a problem.
        if mode != .sync, unreported > 0, starving.admit(at: now) != nil {
            logger.warning(
                "No action available, holding the last target",
                metadata: ["ticks": "\(unreported)", "runway_ms": "\(Int(status.runway.milliseconds))"]
            )
            unreported = 0
        }
        if isTerminal {
            if refresh.admit(at: now) != nil { console.show(status: Self.text(status, tally)) }
            return
        }
        guard summary.admit(at: now) != nil else { return }
        func age(_ instant: MonotonicInstant?) -> String {
            instant.map { Self.text((now - $0).seconds, digits: 2) } ?? "never"
        }
        logger.info(
            "Status Summary",
            metadata: [
                "steps_executed": "\(status.counters.ticks - min(status.counters.ticks, starved))",
                "runway_ms": "\(status.phase == .waiting ? 0 : Int(status.runway.milliseconds))",
                "chunks": "\(status.counters.chunks)",
                "failed": "\(tally.failed)",
                "since_obs_s": "\(age(tally.lastObservation))",
                "since_chunk_s": "\(age(tally.lastChunk))",
                "latency_p50_ms": "\(tally.latency(0.5).map { Self.text($0.milliseconds, digits: 1) } ?? "-")",
                "starved_ticks": "\(starved)",
                "missed_cycles": "\(status.counters.missedCycles)",
            ]
        )
    }

    /// Leaves the refreshed line behind.
    package func finish() {
        if isTerminal { console.leaveStatus() }
    }

    /// One terminal line: phase, runway as a bar of 100 ms, latency, starvation.
    package static func text(_ status: SessionStatus, _ tally: UplinkTally) -> String {
        let runway = status.phase == .following ? max(0, Int(status.runway.milliseconds)) : 0
        let bar = String(repeating: "#", count: min(20, runway / 100)).padding(
            toLength: 20,
            withPad: ".",
            startingAt: 0
        )
        let latency = tally.latency(0.5).map { "\(Int($0.milliseconds)) ms" } ?? "-"
        return "\(status.phase.rawValue)  [\(bar)] \(runway) ms  chunks \(status.counters.chunks)  latency \(latency)  "
            + "starved \(status.counters.starvedTicks)  failed \(tally.failed)"
    }

    private static func text(_ value: Double, digits: Int) -> String {
        let scale = digits == 1 ? 10.0 : 100.0
        return "\((value * scale).rounded() / scale)"
    }
}
