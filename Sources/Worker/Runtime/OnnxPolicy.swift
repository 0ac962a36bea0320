import Foundation
package import GrootCore
package import Logging

/// One checkpoint, loaded and warmed, on a thread of its own.
///
/// Owns the session and its input memory; everything here runs on `thread`, so inference never blocks
/// the cooperative pool.
package actor OnnxPolicy: BatchRunner {
    package nonisolated let description: PolicyDescription
    /// What was loaded, e.g. `ONNX Runtime 1.32.0 (table 32)`.
    package nonisolated let runtimeVersion: String

    private let thread: DedicatedThread
    private let session: ORTSession
    private let tensors: [String: InputTensor]
    private let order: [InputTensor]
    private let maxBatch: Int

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe thread.asUnownedSerialExecutor()
    }

    private init(session: ORTSession, description: PolicyDescription, maxBatch: Int, thread: DedicatedThread) {
        self.session = session
        self.description = description
        self.maxBatch = maxBatch
        self.thread = thread
        runtimeVersion = "ONNX Runtime \(session.library.version) (table \(session.library.apiVersion))"
        order = OnnxGraph.inputs(of: description).map { InputTensor(spec: $0, capacity: maxBatch) }
        tensors = Dictionary(uniqueKeysWithValues: order.map { ($0.spec.name, $0) })
    }

    /// Loads, verifies and warms a checkpoint directory.
    ///
    /// - Throws: `badCheckpoint` that says which file and what was expected, or `runtimeMissing`.
    package static func load(_ options: CheckpointOptions, logger: Logger) async throws(WorkerError) -> OnnxPolicy {
        let directory = URL(filePath: options.directory, directoryHint: .isDirectory).standardizedFileURL
        let model = directory.appending(path: OnnxGraph.fileName)
        let progress = LoadProgress(logger: logger, checkpoint: directory.lastPathComponent)
        let config = try CheckpointConfig.read(directory: directory)
        let sha256 = try await progress.watch("hashing") { () throws(WorkerError) in
            try CheckpointDigest.of(directory: directory)
        }
        let description = try config.description(
            name: directory.lastPathComponent,
            sha256: sha256,
            file: directory.appending(path: CheckpointConfig.fileName).path
        )
        let library = try LibrarySearch.open(flag: options.library)
        let policy = try await progress.watch("loading the model") { () throws(WorkerError) in
            do throws(WorkerError) {
                let session = try ORTSession(library: library, modelPath: model.path, threads: options.threads)
                try OnnxGraph.check(
                    policy: description,
                    inputs: session.inputs,
                    outputs: session.outputs,
                    file: model.path
                )
                return OnnxPolicy(
                    session: session,
                    description: description,
                    maxBatch: options.maxBatch,
                    thread: DedicatedThread(name: "groot-worker.policy")
                )
            } catch  where error.code == .inferenceFailed {
                throw WorkerError(.badCheckpoint, "\(model.path) cannot be loaded: \(error.message)")
            }
        }
        try await progress.watch("warming up batches of 1 to \(options.maxBatch)") { () throws(WorkerError) in
            try await policy.warmUp(modelPath: model.path)
        }
        return policy
    }

    /// One inference per batch size, so that every size is known to work and its memory is reserved.
    private func warmUp(modelPath: String) throws(WorkerError) {
        let row = PolicyInput.zeros(for: description)
        for batch in 1...maxBatch {
            do {
                for chunk in try infer(Array(repeating: row, count: batch)).chunks { _ = try chunk.get() }
            } catch {
                throw WorkerError(
                    .badCheckpoint,
                    "\(modelPath): the warm-up inference of a batch of \(batch) failed. \(error.message)"
                )
            }
        }
    }

    package func run(_ batch: [PolicyInput]) throws(WorkerError) -> BatchResult {
        try infer(batch)
    }

    private func infer(_ batch: [PolicyInput]) throws(WorkerError) -> BatchResult {
        precondition(!batch.isEmpty && batch.count <= maxBatch, "a batch of \(batch.count), at most \(maxBatch)")
        let started = MonotonicInstant.now()
        for (row, input) in batch.enumerated() { fill(row, with: input) }
        let filled = MonotonicInstant.now()
        let answer = try session.run(order, batch: batch.count, output: OnnxGraph.action)
        let ran = MonotonicInstant.now()
        let expected = [batch.count, description.chunkSize, description.actionNames.count]
        guard answer.shape == expected else {
            throw WorkerError(
                .inferenceFailed,
                "Checkpoint \(description.checkpoint) answered with shape \(answer.shape), expected \(expected)."
            )
        }
        let rowCount = description.chunkSize * description.actionNames.count
        let chunks = batch.indices.map { row -> ChunkResult in
            let values = Array(answer.values[row * rowCount..<(row + 1) * rowCount])
            if let bad = values.firstIndex(where: { !$0.isFinite }) {
                let name = description.actionNames[bad % description.actionNames.count]
                return .failure(
                    WorkerError(
                        .inferenceFailed,
                        "Checkpoint \(description.checkpoint) answered \(values[bad]) for \(name) in row"
                            + " \(bad / description.actionNames.count); no action was sent."
                    )
                )
            }
            return .success(values)
        }
        return BatchResult(
            chunks: chunks,
            preprocess: filled - started,
            infer: ran - filled,
            postprocess: MonotonicInstant.now() - ran
        )
    }

    private func fill(_ row: Int, with input: PolicyInput) {
        for (image, pixels) in zip(description.images, input.images) { tensors[image.key]?.write(pixels, row: row) }
        tensors[OnnxGraph.state]?.write(input.state, row: row)
        tensors[OnnxGraph.task]?.write(input.task, row: row)
        let count = description.chunkSize * description.actionNames.count
        tensors[OnnxGraph.noise]?.write(SeededNormal.values(seed: input.noiseSeed, count: count), row: row)
        tensors[OnnxGraph.prefix]?.write(input.prefix, row: row)
        tensors[OnnxGraph.prefixRows]?.write([Int64(input.prefixRows)], row: row)
        tensors[OnnxGraph.frozenRows]?.write([Int64(input.frozenRows)], row: row)
    }
}

/// What to load and how.
package struct CheckpointOptions: Sendable {
    package var directory: String
    /// Path of the ONNX Runtime library; nil searches.
    package var library: String?
    /// Compute threads inside one operator.
    package var threads: Int
    package var maxBatch: Int

    package init(directory: String, library: String? = nil, threads: Int = 1, maxBatch: Int = 8) {
        self.directory = directory
        self.library = library
        self.threads = threads
        self.maxBatch = maxBatch
    }
}
