import GrootCore
import Synchronization

/// Decides whether a connection attempt may be made now: after failures the wait doubles up to a limit.
///
/// Pure; the caller passes the time.
struct ReconnectBackoff: Sendable {
    static let first: Duration = .milliseconds(50)
    static let limit: Duration = .seconds(1)

    private var delay: Duration = .zero
    private var nextAttempt: MonotonicInstant?

    /// Nil when an attempt may be made, else how long to wait.
    func wait(at now: MonotonicInstant) -> Duration? {
        guard let nextAttempt, now < nextAttempt else { return nil }
        return now.duration(to: nextAttempt)
    }

    mutating func attemptFailed(at now: MonotonicInstant) {
        delay = delay == .zero ? Self.first : min(delay * 2, Self.limit)
        nextAttempt = now + delay
    }

    mutating func attemptSucceeded() {
        delay = .zero
        nextAttempt = nil
    }
}

/// The back-off that all sessions of a pool share, so that a dead server is asked once and not once per session.
final class ReconnectGate: Sendable {
    private struct State {
        var backoff = ReconnectBackoff()
        var lastProblem = StoreError(.unavailable, "no connection to the database")
    }

    private let state = Mutex(State())

    /// - Throws: the last attempt's problem while it is too early for another one.
    func admit() throws(StoreError) {
        let problem = state.withLock { $0.backoff.wait(at: .now()) == nil ? nil : $0.lastProblem }
        if let problem { throw problem }
    }

    func succeeded() { state.withLock { $0.backoff.attemptSucceeded() } }

    func failed(_ error: StoreError) {
        state.withLock {
            $0.backoff.attemptFailed(at: .now())
            $0.lastProblem = error
        }
    }
}
