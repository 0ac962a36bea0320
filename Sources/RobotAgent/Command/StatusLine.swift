package import GrootCore
package import Logging

/// What the operator reads: a summary every two seconds, and at most one "No action available" per second.
///
/// Owned by the episode runner's task.
package struct StatusLine: Sendable {
    /// The ancestor's period, so that old habits of reading logs still work.
    package static let period: Duration = .seconds(2)

    private let logger: Logger
    private let mode: RequestPlanner.Mode
    private var summary = RateLimit(every: period)
    private var starving = RateLimit(every: .seconds(1))
    private var seenStarved: UInt64 = 0
    private var unreported: UInt64 = 0

    package init(mode: RequestPlanner.Mode, logger: Logger) {
        self.mode = mode
        self.logger = logger
    }

    package mutating func update(status: ControlStatus, tally: UplinkTally, at now: MonotonicInstant) {
        let starved = status.counters.starvedTicks
        unreported += starved - min(starved, seenStarved)
        seenStarved = starved
        // In sync mode standing still between two chunks is the plan, not a problem.
        if mode == .async, unreported > 0, starving.admit(at: now) != nil {
            logger.warning(
                "No action available, holding the last target",
                metadata: ["ticks": "\(unreported)", "runway_ms": "\(Int(status.runway.milliseconds))"]
            )
            unreported = 0
        }
        guard summary.admit(at: now) != nil else { return }
        func age(_ instant: MonotonicInstant?) -> String {
            instant.map { Self.text((now - $0).seconds, digits: 2) } ?? "never"
        }
        logger.info(
            "Status Summary",
            metadata: [
                "steps_executed": "\(status.counters.ticks - min(status.counters.ticks, starved))",
                "runway_ms": "\(status.phase == .waitingForFirstChunk ? 0 : Int(status.runway.milliseconds))",
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

    private static func text(_ value: Double, digits: Int) -> String {
        let scale = digits == 1 ? 10.0 : 100.0
        return "\((value * scale).rounded() / scale)"
    }
}
