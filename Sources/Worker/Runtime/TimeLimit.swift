import GrootCore
import Synchronization

/// Waits for work that cannot be cancelled, but not for ever.
enum TimeLimit {
    /// Whoever comes first takes the continuation.
    private final class Race<Value: Sendable>: Sendable {
        private let waiting: Mutex<CheckedContinuation<Value?, Never>?>

        init(_ continuation: CheckedContinuation<Value?, Never>) { waiting = Mutex(continuation) }

        func end(_ value: Value?) {
            let taken = waiting.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            taken?.resume(returning: value)
        }
    }

    /// Nil when the work is not done in time. It then goes on by itself, and its result is nobody's.
    static func run<Value: Sendable>(
        _ limit: Duration,
        _ work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        await withCheckedContinuation { continuation in
            let race = Race(continuation)
            let timer = Task {
                // Cancelled when the work is done, which then has ended the race.
                try? await Task.sleep(for: limit)
                race.end(nil)
            }
            Task {
                race.end(await work())
                timer.cancel()
            }
        }
    }
}
