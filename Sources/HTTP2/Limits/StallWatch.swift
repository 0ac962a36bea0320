package import GrootCore

/// Notices that something which should move stands still. Pure; asked from time to time, costs nothing in between.
package struct StallWatch: Sendable {
    private var mark = -1
    private var since = MonotonicInstant(nanoseconds: 0)

    package init() {}

    /// - Parameters:
    ///   - progress: a number that changes with each step forward.
    ///   - waiting: whether there is anything to move.
    /// - Returns: how long it has stood still at `now`; zero when it moved since the last call or need not move.
    package mutating func standing(progress: Int, waiting: Bool, at now: MonotonicInstant) -> Duration {
        guard waiting, progress == mark else {
            mark = waiting ? progress : -1
            since = now
            return .zero
        }
        return now - since
    }
}
