import GrootCore
import Synchronization

/// Wakes whoever waits for the next camera frame. Any thread signals, any task waits.
package final class FrameSignal: Sendable {
    private let waiters = Mutex<[AsyncStream<Void>.Continuation]>([])

    package init() {}

    package func signal() {
        let waiting = waiters.withLock { waiters in
            defer { waiters.removeAll() }
            return waiters
        }
        for waiter in waiting { waiter.finish() }
    }

    /// Returns at the next signal, after `limit`, or when the task is cancelled.
    package func wait(limit: Duration) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        waiters.withLock { $0.append(continuation) }
        let timer = Task {
            // Cancellation only means that the signal came first.
            try? await Task.sleep(for: limit)
            continuation.finish()
        }
        for await _ in stream {}
        timer.cancel()
    }
}
