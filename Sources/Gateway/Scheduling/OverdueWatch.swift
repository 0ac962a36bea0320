import GrootCore

/// By when the requests in a worker's hands should be answered, and how late it is. Pure; part of `SchedulerWorker`.
///
/// A worker that answers anything at all is given the time of a batch for the next answer: one request that takes long
/// says nothing of the others.
struct OverdueWatch: Sendable {
    private var open: [(number: UInt64, due: MonotonicInstant)] = []
    private var earliest: MonotonicInstant?
    private var nextBy = MonotonicInstant.distantPast
    private(set) var lastDispatch = MonotonicInstant.distantPast

    mutating func dispatched(_ number: UInt64, due: MonotonicInstant, at now: MonotonicInstant) {
        lastDispatch = now
        open.append((number, due))
        earliest = min(earliest ?? due, due)
    }

    mutating func finished(_ number: UInt64) {
        guard let index = open.firstIndex(where: { $0.number == number }) else { return }
        let due = open.remove(at: index).due
        // Most often the oldest one, whose successor is not far.
        if due == earliest { earliest = open.map(\.due).min() }
    }

    /// An answer came; the next one should be there by then.
    mutating func progressed(nextBy instant: MonotonicInstant) {
        nextBy = instant
    }

    func lateness(at now: MonotonicInstant) -> Duration {
        guard let earliest else { return .zero }
        return max(.zero, now - max(earliest, nextBy))
    }
}
