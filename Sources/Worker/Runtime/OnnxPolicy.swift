import Foundation
package import GrootCore
package import Logging
import Synchronization

/// One checkpoint in ONNX Runtime, loaded and warmed, on a thread of its own.
///
/// ONNX Runtime cannot be told to stop: what does not end in its time is given up together with its thread, and the
/// worker ends, since only a new process gets thread, memory and GPU back.
package final class OnnxPolicy: PolicyRuntime {
    /// An inference may take as many times what the slowest did at warm-up, where that is longer than the limit.
    private static let slowest = 4

    package let description: PolicyDescription
    /// What was loaded, e.g. `ONNX Runtime 1.32.0 (table 32) on the CPU`.
    package let version: String
    package let memoryBytes: Int

    private let runner: OnnxRunner
    private let inferenceLimit: Duration
    private let lost: @Sendable (WorkerError) -> Void
    private let hung = Mutex<String?>(nil)

    package var unavailableReason: String? { hung.withLock { $0 } }

    private init(
        runner: OnnxRunner,
        loaded: OnnxRunner.Loaded,
        inferenceTimeout: Duration,
        lost: @escaping @Sendable (WorkerError) -> Void
    ) {
        self.runner = runner
        self.lost = lost
        description = loaded.description
        version = loaded.version
        memoryBytes = loaded.memoryBytes
        let warmed = loaded.description.batchTimes.map(\.infer).max() ?? .zero
        inferenceLimit = max(inferenceTimeout, warmed * Self.slowest)
    }

    /// Loads, verifies and warms a checkpoint directory.
    ///
    /// - Parameter deviceLost: called when a GPU is lost to this process or an inference does not end; only a new process
    ///   gets them back.
    /// - Throws: `badCheckpoint` that says which file and what was expected, `overBudget` before memory is taken,
    ///   `runtimeMissing`, or `runtimeHung` when loading does not end.
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
        let (sha256, weightBytes) = try await progress.watch(.hashing) { () throws(WorkerError) in
            let file = try OnnxFile(directory: directory)
            try options.admit(bytes: file.weightBytes)
            let files = [CheckpointConfig.fileName] + file.files
            return (try CheckpointDigest.of(directory: directory, files: files), file.weightBytes)
        }
        let description = try config.description(
            name: options.name,
            sha256: sha256,
            file: directory.appending(path: CheckpointConfig.fileName).path
        )
        let batchBytes = try description.batchBytes(options.maxBatch)
        try options.admit(bytes: CheckedSize.sum(of: [weightBytes, batchBytes]) ?? .max)
        let runner = OnnxRunner()
        let loaded = try await progress.watch(.loadingModel) { () async throws(WorkerError) in
            let outcome = await TimeLimit.run(options.loadTimeout) {
                await Result { () async throws(WorkerError) in
                    try await runner.load(
                        description,
                        model: model,
                        weightBytes: weightBytes,
                        options: options,
                        logger: logger,
                        report: report
                    )
                }
            }
            guard let outcome else {
                throw WorkerError(
                    .runtimeHung,
                    "\(model.path) was not loaded and warmed up within \(options.loadTimeout.seconds) s (--load-timeout). Its"
                        + " thread and memory come back with a new process."
                )
            }
            return try outcome.get()
        }
        return OnnxPolicy(
            runner: runner,
            loaded: loaded,
            inferenceTimeout: options.inferenceTimeout,
            lost: deviceLost
        )
    }

    package func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult {
        if let reason = unavailableReason { throw WorkerError(.runtimeHung, "\(reason). Try another worker.") }
        let outcome = await TimeLimit.run(inferenceLimit) { [runner, checkpoint = description.checkpoint] in
            await Result { () async throws(WorkerError) in try await runner.run(batch, of: checkpoint) }
        }
        do throws(WorkerError) {
            guard let outcome else {
                let reason =
                    "Checkpoint \(description.checkpoint) did not end an inference of \(batch.count) within"
                    + " \(inferenceLimit.seconds) s (--inference-timeout)"
                hung.withLock { $0 = reason }
                throw WorkerError(.runtimeHung, "\(reason); the worker ends. Try another worker.")
            }
            return try outcome.get()
        } catch {
            if error.code == .deviceLost || error.code == .runtimeHung { lost(error) }
            throw error
        }
    }

    package func close() async {
        // Its thread would never get to it.
        guard unavailableReason == nil else { return }
        await runner.close()
    }
}
