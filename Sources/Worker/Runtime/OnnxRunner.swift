import Foundation
import GrootCore
import Logging

/// The thread of one ONNX checkpoint: loads, warms up and runs there, since a GPU's context and captured graphs belong
/// to the thread that made them.
///
/// Owns session and engine.
actor OnnxRunner {
    /// What loading found out.
    struct Loaded: Sendable {
        var description: PolicyDescription
        var version: String
        var memoryBytes: Int
    }

    private let thread = DedicatedThread(name: "groot-policy")
    private var engine: OnnxEngine?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    /// Tries the providers in turn; the first that loads the model and runs every batch size stays.
    ///
    /// - Throws: the error of the last one.
    func load(
        _ policy: PolicyDescription,
        model: URL,
        weightBytes: Int,
        options: CheckpointOptions,
        logger: Logger,
        report: @Sendable (LoadStep) -> Void
    ) throws(WorkerError) -> Loaded {
        let library = try LibrarySearch.open(flag: options.library)
        let offered = try library.providers()
        let attempts = try ExecutionProvider.attempts(
            flag: options.device,
            offered: offered,
            table: library.apiVersion,
            library: library.path
        )
        var problem = WorkerError(.badCheckpoint, "\(model.path): nothing can run it.")
        for (number, provider) in attempts.enumerated() {
            do {
                var loaded = try load(policy, model, weightBytes, options, library, provider, report)
                if options.device == "auto", provider == .cpu {
                    let why =
                        attempts.count == 1 ? "the library offers \(offered.joined(separator: ", "))" : problem.message
                    loaded.version += " (--device auto: \(why))"
                }
                return loaded
            } catch {
                problem =
                    error.code == .inferenceFailed
                    ? WorkerError(.badCheckpoint, "\(model.path) cannot be loaded: \(error.message)") : error
                if number + 1 < attempts.count {
                    logger.warning(
                        "the model does not run \(provider); trying \(attempts[number + 1])",
                        metadata: ["checkpoint": "\(options.name)", "error": "\(problem.message)"]
                    )
                }
            }
        }
        throw problem
    }

    private func load(
        _ policy: PolicyDescription,
        _ model: URL,
        _ weightBytes: Int,
        _ options: CheckpointOptions,
        _ library: ORTLibrary,
        _ provider: ExecutionProvider,
        _ report: @Sendable (LoadStep) -> Void
    ) throws(WorkerError) -> Loaded {
        report(.loadingModel)
        let session = try ORTSession(
            library: library,
            modelPath: model.path,
            provider: provider,
            expected: OnnxGraph.inputs(of: policy),
            options: options
        )
        let free = session.driver?.freeBytes
        try OnnxGraph.check(policy: policy, inputs: session.inputs, outputs: session.outputs, file: model.path)
        let engine = try OnnxEngine(
            session: session,
            policy: policy,
            maxBatch: options.maxBatch,
            graph: provider.usesGraph || options.stagesTensors
        )
        report(.warming(maxBatch: options.maxBatch))
        var warmed = policy
        warmed.maxBatch = options.maxBatch
        warmed.batchTimes = try engine.warmUp(modelPath: model.path)
        self.engine = engine
        // Weights once in their files' size. What the largest batch needs beside them: on a GPU what the warm-up took, on
        // the CPU, where nobody says, their size again.
        let work = free.flatMap { before in session.driver?.freeBytes.map { max(0, before - $0) } } ?? weightBytes
        return Loaded(
            description: warmed,
            version: session.version,
            memoryBytes: CheckedSize.sum(of: [weightBytes, work, engine.tensorBytes]) ?? .max
        )
    }

    func run(_ batch: [PolicyInput], of checkpoint: String) throws(WorkerError) -> BatchResult {
        guard let engine else { throw WorkerError(.notServing, "Checkpoint \(checkpoint) was unloaded.") }
        do {
            return try engine.infer(batch)
        } catch {
            guard engine.deviceIsLost else { throw error }
            throw WorkerError(.deviceLost, "Checkpoint \(checkpoint) has lost its GPU. \(error.message)")
        }
    }

    func close() { engine = nil }
}
