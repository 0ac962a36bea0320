import Foundation
import ServiceLifecycle
import Synchronization

/// One operating-system thread that loops until its service is asked to stop.
final class LoopThread: Sendable {
    private let stopping = Atomic<Bool>(false)

    var shouldStop: Bool { stopping.load(ordering: .relaxed) }

    func stop() { stopping.store(true, ordering: .relaxed) }

    /// Runs `body` on a new thread and returns when it does.
    ///
    /// `body` must look at `shouldStop` often.
    func run(name: String, body: @escaping @Sendable (LoopThread) throws -> Void) async throws {
        try await withTaskCancellationOrGracefulShutdownHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let thread = Thread { [self] in
                    // Here, not before the start: only a running thread takes a name, which tools like top then show.
                    Thread.current.name = name
                    continuation.resume(with: Result { try body(self) })
                }
                thread.start()
            }
        } onCancelOrGracefulShutdown: { [self] in
            stop()
        }
    }
}
