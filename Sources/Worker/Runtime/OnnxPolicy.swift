import Foundation
package import GrootCore
package import Logging

/// One checkpoint in ONNX Runtime, loaded and warmed, on a thread of its own.
///
/// Owns the engine; `run` happens on `thread`, so inference never blocks the cooperative pool.
package actor OnnxPolicy: PolicyRuntime {
    package nonisolated let description: PolicyDescription
    /// What was loaded, e.g. `ONNX Runtime 1.32.0 (table 32) on the CPU`.
    package nonisolated let version: String
    package nonisolated let memoryBytes: Int

    private let thread: DedicatedThread
    private var engine: OnnxEngine?

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe thread.asUnownedSerialExecutor()
    }

    private init(engine: sending OnnxEngine, description: PolicyDescription, memoryBytes: Int) {
        version = engine.session.version
        self.engine = engine
        self.description = description
        self.memoryBytes = memoryBytes
        thread = DedicatedThread(name: "groot-worker.policy")
    }

    /// Loads, verifies and warms a checkpoint directory.
    ///
    /// - Throws: `badCheckpoint` that says which file and what was expected, or `runtimeMissing`.
    package static func load(
        _ options: CheckpointOptions,
        logger: Logger,
        progress report: @escaping @Sendable (LoadStep) -> Void = { _ in }
    ) async throws(WorkerError) -> OnnxPolicy {
        let directory = URL(filePath: options.directory, directoryHint: .isDirectory).standardizedFileURL
        let model = directory.appending(path: OnnxGraph.fileName)
        let progress = LoadProgress(logger: logger, checkpoint: options.name, report: report)
        let config = try CheckpointConfig.read(directory: directory)
        let sha256 = try await progress.watch(.hashing) { () throws(WorkerError) in
            try CheckpointDigest.of(directory: directory, files: [CheckpointConfig.fileName, OnnxGraph.fileName])
        }
        let bytes = CheckpointDigest.bytes(of: model)
        let description = try config.description(
            name: options.name,
            sha256: sha256,
            file: directory.appending(path: CheckpointConfig.fileName).path
        )
        let library = try LibrarySearch.open(flag: options.library)
        return try await progress.watch(.loadingModel) { () throws(WorkerError) in
            do throws(WorkerError) {
                let session = try ORTSession(library: library, modelPath: model.path, options: options)
                for note in session.notes { logger.warning("\(note)") }
                try OnnxGraph.check(
                    policy: description,
                    inputs: session.inputs,
                    outputs: session.outputs,
                    file: model.path
                )
                let engine = OnnxEngine(session: session, policy: description, maxBatch: options.maxBatch)
                report(.warming(maxBatch: options.maxBatch))
                var warmed = description
                warmed.maxBatch = options.maxBatch
                warmed.batchTimes = try engine.warmUp(modelPath: model.path)
                // Weights once in the file's size, and again for the arena that the largest batch filled.
                return OnnxPolicy(engine: engine, description: warmed, memoryBytes: 2 * bytes)
            } catch  where error.code == .inferenceFailed {
                throw WorkerError(.badCheckpoint, "\(model.path) cannot be loaded: \(error.message)")
            }
        }
    }

    package func run(_ batch: [PolicyInput]) throws(WorkerError) -> BatchResult {
        guard let engine else { throw WorkerError(.notServing, "Checkpoint \(description.checkpoint) was unloaded.") }
        return try engine.infer(batch)
    }

    package func close() async {
        engine = nil
    }
}
