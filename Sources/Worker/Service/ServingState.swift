import GrootCore
import Synchronization

/// What the worker serves at the moment and who watches it. Any thread; one lock around a small value.
package final class ServingState: Sendable {
    package enum Phase: Hashable, Sendable {
        case loading
        case serving
        case draining
    }

    private struct State {
        var phase = Phase.loading
        var batchers: [String: Batcher] = [:]
        var watchers: [Int: AsyncStream<Phase>.Continuation] = [:]
        var lastWatcher = 0
    }

    private let state = Mutex(State())

    package init() {}

    package var phase: Phase { state.withLock { $0.phase } }

    /// Nil when ready, else the reason: what the admin listener's readiness asks.
    package var notReadyReason: String? {
        switch phase {
        case .loading: "the checkpoint is still being loaded and warmed up"
        case .serving: nil
        case .draining: "the worker is draining"
        }
    }

    package func loaded(_ batchers: [Batcher]) {
        let watchers = state.withLock { state -> [AsyncStream<Phase>.Continuation] in
            guard state.phase == .loading else { return [] }
            state.phase = .serving
            for batcher in batchers { state.batchers[batcher.runner.description.checkpoint] = batcher }
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.yield(.serving) }
    }

    /// Ends every watch after telling it; requests that were accepted go on.
    package func drain() {
        let watchers = state.withLock { state -> [AsyncStream<Phase>.Continuation] in
            state.phase = .draining
            defer { state.watchers = [:] }
            return Array(state.watchers.values)
        }
        for watcher in watchers {
            watcher.yield(.draining)
            watcher.finish()
        }
    }

    /// The present phase first, then every change; ends with the drain.
    package func watch() -> AsyncStream<Phase> {
        let (stream, continuation) = AsyncStream<Phase>.makeStream(bufferingPolicy: .bufferingNewest(4))
        let id = state.withLock { state -> Int? in
            continuation.yield(state.phase)
            if state.phase == .draining { return nil }
            state.lastWatcher += 1
            state.watchers[state.lastWatcher] = continuation
            return state.lastWatcher
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.watchers.removeValue(forKey: id) }
        }
        return stream
    }

    /// - Throws: `notServing` before the warm-up and while draining, `unknownCheckpoint` with what is served.
    package func batcher(for selector: String) throws(WorkerError) -> Batcher {
        let (phase, batchers) = state.withLock { ($0.phase, $0.batchers) }
        guard phase == .serving else {
            throw WorkerError(
                .notServing,
                "Not now: \(notReadyReason ?? "the worker is not ready"). Try another worker."
            )
        }
        let served = batchers.keys.sorted()
        if selector.isEmpty {
            guard batchers.count == 1, let only = batchers.values.first else {
                throw WorkerError(.unknownCheckpoint, "Select one of the checkpoints served here: \(served).")
            }
            return only
        }
        guard let batcher = batchers[selector] else {
            throw WorkerError(.unknownCheckpoint, "Checkpoint \"\(selector)\" is not served here; served: \(served).")
        }
        return batcher
    }

    package func all() throws(WorkerError) -> [Batcher] {
        let (phase, batchers) = state.withLock { ($0.phase, $0.batchers) }
        guard phase != .loading else {
            throw WorkerError(.notServing, "Not now: \(notReadyReason ?? "the worker is not ready").")
        }
        return batchers.sorted { $0.key < $1.key }.map(\.value)
    }
}
