package import GrootCore
import Synchronization

/// What the worker serves at the moment and who watches it. Any thread; one lock around a small value.
///
/// Checkpoints come and go while others are served: the name of a checkpoint leads to exactly one batcher at any
/// instant, and an exchange is one assignment under the lock.
package final class ServingState: Sendable {
    package enum Phase: String, Hashable, Sendable, CaseIterable {
        /// Nothing can be served yet: files are read.
        case loading
        /// Nothing can be served yet: every batch size is tried.
        case warming
        case serving
        case draining
    }

    /// A load that is under way, or the reason why the last one of that name failed.
    package struct LoadStatus: Hashable, Sendable {
        package var directory: String
        /// What loading is busy with, e.g. "hashing"; the error's message when `failed`.
        package var step: String
        package var failed: Bool
        package var since: MonotonicInstant
    }

    private struct State {
        var phase = Phase.loading
        var batchers: [String: Batcher] = [:]
        var loads: [String: LoadStatus] = [:]
        var watchers: [Int: AsyncStream<Phase>.Continuation] = [:]
        var lastWatcher = 0
        var failure: WorkerError?
        /// Begins anywhere, so that a restart is a change too.
        var generation = UInt64.random(in: 1..<1 << 62)
    }

    private let state = Mutex(State())

    package init() {}

    package var phase: Phase { state.withLock { $0.phase } }

    /// Another number whenever `Describe` would answer something else.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Loads under way and loads that failed, by checkpoint name.
    package var loads: [String: LoadStatus] { state.withLock { $0.loads } }

    /// Nil when ready, else the reason: what the admin listener's readiness asks.
    package var notReadyReason: String? {
        let (phase, loads, batchers) = state.withLock { ($0.phase, $0.loads, Array($0.batchers.values)) }
        switch phase {
        case .loading, .warming:
            let step = loads.sorted { $0.key < $1.key }.first { !$0.value.failed }
            return "the checkpoint is still being loaded and warmed up"
                + (step.map { ": \($0.key), \($0.value.step)" } ?? "")
        case .serving:
            // Serving means that at least one checkpoint can answer.
            let reasons = batchers.map(\.runner.unavailableReason)
            return reasons.contains { $0 == nil } ? nil : reasons.first ?? "no checkpoint is loaded"
        case .draining: return "the worker is draining"
        }
    }

    /// True when a request sent now would be answered.
    package var isServing: Bool { phase == .serving && notReadyReason == nil }

    /// Replaces everything at once: the first load of a process.
    package func loaded(_ batchers: [Batcher]) {
        for batcher in batchers { _ = install(batcher) }
        enter(.serving, from: [.loading, .warming])
    }

    /// Loading got as far as trying batch sizes; without meaning once something is served.
    package func warming() { enter(.warming, from: [.loading]) }

    package func loadChanged(_ checkpoint: String, to status: LoadStatus?) {
        state.withLock { $0.loads[checkpoint] = status }
    }

    /// Requests that arrive from now on go to this batcher.
    ///
    /// - Returns: the batcher that served the name so far; it finishes what it has.
    package func install(_ batcher: Batcher) -> Batcher? {
        state.withLock { state in
            state.generation &+= 1
            return state.batchers.updateValue(batcher, forKey: batcher.runner.description.checkpoint)
        }
    }

    /// Requests for the checkpoint are refused from now on; the batcher finishes what it has.
    package func remove(_ checkpoint: String) -> Batcher? {
        state.withLock { state in
            guard let removed = state.batchers.removeValue(forKey: checkpoint) else { return nil }
            state.generation &+= 1
            return removed
        }
    }

    /// Tells every watch that what it asks about may have changed (a runtime was lost or came back).
    package func availabilityChanged() {
        let (phase, watchers) = state.withLock { ($0.phase, Array($0.watchers.values)) }
        for watcher in watchers { watcher.yield(phase) }
    }

    private func enter(_ phase: Phase, from: Set<Phase>) {
        let watchers = state.withLock { state -> [AsyncStream<Phase>.Continuation] in
            guard from.contains(state.phase) else { return [] }
            state.phase = phase
            // Before serving, Describe is refused.
            state.generation &+= 1
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.yield(phase) }
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

    /// Ends the worker: what was lost comes back with a new process only. The first reason stays.
    package func fail(_ error: WorkerError) {
        state.withLock { $0.failure = $0.failure ?? error }
        drain()
    }

    /// Why the worker ends by itself; nil while it does not.
    package var failure: WorkerError? { state.withLock { $0.failure } }

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

    /// - Throws: `notServing` before the warm-up and while draining, `unknownCheckpoint` with what is served,
    ///   `runtimeLost` while the checkpoint's runtime restarts.
    package func batcher(for selector: String) throws(WorkerError) -> Batcher {
        let (phase, batchers) = state.withLock { ($0.phase, $0.batchers) }
        guard phase == .serving else {
            throw WorkerError(
                .notServing,
                "Not now: \(notReadyReason ?? "the worker is not ready"). Try another worker."
            )
        }
        let served = batchers.keys.sorted()
        let batcher: Batcher
        if selector.isEmpty {
            guard batchers.count == 1, let only = batchers.values.first else {
                throw WorkerError(
                    .unknownCheckpoint,
                    "Select one of the checkpoints served here: \(ReadableText.list(served))."
                )
            }
            batcher = only
        } else {
            guard let named = batchers[selector] else {
                throw WorkerError(
                    .unknownCheckpoint,
                    "Checkpoint \"\(ReadableText.clipped(selector, to: ReadableText.nameBytes))\" is not served here;"
                        + " served: \(ReadableText.list(served))."
                )
            }
            batcher = named
        }
        if let reason = batcher.runner.unavailableReason {
            throw WorkerError(.runtimeLost, "Not now: \(reason). Try another worker.")
        }
        return batcher
    }

    package func all() throws(WorkerError) -> [Batcher] {
        let (phase, batchers) = state.withLock { ($0.phase, $0.batchers) }
        guard phase == .serving || phase == .draining else {
            throw WorkerError(.notServing, "Not now: \(notReadyReason ?? "the worker is not ready").")
        }
        return batchers.sorted { $0.key < $1.key }.map(\.value)
    }

    /// What is resident, whatever the phase; by name.
    package var resident: [Batcher] {
        state.withLock { $0.batchers }.sorted { $0.key < $1.key }.map(\.value)
    }
}
