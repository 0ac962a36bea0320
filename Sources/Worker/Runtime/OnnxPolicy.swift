import Foundation
package import GrootCore
package import Logging

/// One checkpoint in ONNX Runtime, loaded and warmed, on a thread of its own.
package final class OnnxPolicy: PolicyRuntime {
    package let description: PolicyDescription
    /// What was loaded, e.g. `ONNX Runtime 1.32.0 (table 32) on the CPU`.
    package let version: String
    package let memoryBytes: Int

    private let runner: OnnxRunner
    private let deviceLost: @Sendable (WorkerError) -> Void

    private init(
        runner: OnnxRunner,
        loaded: OnnxRunner.Loaded,
        deviceLost: @escaping @Sendable (WorkerError) -> Void
    ) {
        self.runner = runner
        self.deviceLost = deviceLost
        description = loaded.description
        version = loaded.version
        memoryBytes = loaded.memoryBytes
    }

    /// Loads, verifies and warms a checkpoint directory.
    ///
    /// - Parameter deviceLost: called when a GPU is lost to this process; only a new process gets it back.
    /// - Throws: `badCheckpoint` that says which file and what was expected, or `runtimeMissing`.
    package static func load(
        _ options: CheckpointOptions,
        logger: Logger,
        progress report: @escaping @Sendable (LoadStep) -> Void = { _ in },
        deviceLost: @escaping @Sendable (WorkerError) -> Void = { _ in }
    ) async throws(WorkerError) -> OnnxPolicy {
        let directory = URL(filePath: options.directory, directoryHint: .isDirectory).standardizedFileURL
        let model = directory.appending(path: OnnxGraph.fileName)
        let progress = LoadProgress(logger: logger, checkpoint: options.name, report: report)
        let config = try CheckpointConfig.read(directory: directory)
        let sha256 = try await progress.watch(.hashing) { () throws(WorkerError) in
            try CheckpointDigest.of(directory: directory, files: [CheckpointConfig.fileName, OnnxGraph.fileName])
        }
        let description = try config.description(
            name: options.name,
            sha256: sha256,
            file: directory.appending(path: CheckpointConfig.fileName).path
        )
        let runner = OnnxRunner()
        let loaded = try await progress.watch(.loadingModel) { () async throws(WorkerError) in
            try await runner.load(description, model: model, options: options, logger: logger, report: report)
        }
        return OnnxPolicy(runner: runner, loaded: loaded, deviceLost: deviceLost)
    }

    package func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult {
        do throws(WorkerError) {
            return try await runner.run(batch, of: description.checkpoint)
        } catch {
            if error.code == .deviceLost { deviceLost(error) }
            throw error
        }
    }

    package func close() async { await runner.close() }
}
