import GrootCore
import Worker

/// A policy that answers when told to: element i of a row's chunk is state[0] + i.
actor ScriptedRunner: PolicyRuntime {
    nonisolated let description: PolicyDescription
    nonisolated let version = "scripted"
    nonisolated let memoryBytes: Int

    private var gate: CheckedContinuation<Void, Never>?
    private var isOpen: Bool
    private(set) var batches: [[PolicyInput]] = []

    /// - Parameter open: false makes every inference wait for `release()`.
    init(
        checkpoint: String = "scripted",
        open: Bool = true,
        memoryBytes: Int = 0,
        batchTimes: [PolicyDescription.BatchTime] = []
    ) {
        isOpen = open
        self.memoryBytes = memoryBytes
        description = PolicyDescription(
            checkpoint: checkpoint,
            policyType: "scripted",
            sha256: String(repeating: "0", count: 64),
            runtime: "scripted",
            images: [.init(key: "observation.images.a", width: 2, height: 1)],
            stateNames: ["left", "right"],
            actionNames: ["left", "right"],
            chunkSize: 3,
            actionPeriod: .milliseconds(100),
            supportsPrefix: false,
            maxTaskBytes: 16,
            batchTimes: batchTimes
        )
    }

    func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult {
        batches.append(batch)
        if !isOpen { await withCheckedContinuation { gate = $0 } }
        let chunks = batch.map { input -> ChunkResult in
            .success((0..<6).map { input.state[0] + Float($0) })
        }
        return BatchResult(chunks: chunks, preprocess: .zero, infer: .microseconds(1), postprocess: .zero)
    }

    func close() async {}

    var isHolding: Bool { gate != nil }

    /// Lets the inference that waits go on; true when there was one.
    @discardableResult
    func release() -> Bool {
        defer { gate = nil }
        gate?.resume()
        return gate != nil
    }

    /// Lets this and all later inferences go on.
    func open() {
        isOpen = true
        release()
    }
}
