package import GrootCore

/// Decides which mode call is tried next until every one is confirmed or the time is over.
///
/// Pure; owned by the task that hands back. Calls are tried in the profile's order, each of them even when one before
/// it failed: the robot is left as far back as possible. What was confirmed is not asked for again.
package struct HandBackMachine: Sendable {
    package struct Limits: Sendable, Equatable {
        /// From the first try on; at least one whole round is made.
        package var total: Duration
        /// Pause after a round with failures; doubles up to `longestPause`.
        package var firstPause: Duration = .milliseconds(500)
        package var longestPause: Duration = .seconds(10)

        package init(total: Duration) { self.total = total }
    }

    package enum Action: Sendable, Equatable {
        case call(Int)
        case wait(Duration)
        /// The robot confirmed every call.
        case confirmed
        /// Positions of the calls that it did not confirm.
        case gaveUp([Int])
    }

    private let limits: Limits
    private let deadline: MonotonicInstant
    private var pause: Duration
    /// Calls without a confirmation, in order.
    private var open: [Int]
    /// Of those, the ones of the current round that are still to be tried.
    private var round: ArraySlice<Int>
    private var resumesAt: MonotonicInstant?

    package init(calls: Int, limits: Limits, startedAt now: MonotonicInstant) {
        self.limits = limits
        deadline = now + limits.total
        pause = limits.firstPause
        open = Array(0..<calls)
        round = open[...]
    }

    /// What is to be done now.
    package mutating func next(at now: MonotonicInstant) -> Action {
        guard !open.isEmpty else { return .confirmed }
        if let call = round.first { return .call(call) }
        guard now < deadline else { return .gaveUp(open) }
        let until = resumesAt ?? now + pause
        if now < until {
            resumesAt = until
            return .wait(min(until, deadline) - now)
        }
        resumesAt = nil
        pause = min(pause * 2, limits.longestPause)
        round = open[...]
        return .call(open[0])
    }

    /// The robot confirmed the call that was last asked for.
    package mutating func confirmed() {
        guard let call = round.popFirst() else { return }
        open.removeAll { $0 == call }
    }

    /// It refused, or did not answer.
    package mutating func failed() {
        round = round.dropFirst()
    }
}
