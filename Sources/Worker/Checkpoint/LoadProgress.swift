import GrootCore
import Logging

/// What loading a checkpoint is busy with.
package enum LoadStep: Hashable, Sendable, CustomStringConvertible {
    case hashing
    case loadingModel
    case warming(maxBatch: Int)
    /// In the words of the process that loads.
    case other(String)

    package var description: String {
        switch self {
        case .hashing: "hashing the files"
        case .loadingModel: "loading the model"
        case .warming(let maxBatch): "warming up batches of 1 to \(maxBatch)"
        case .other(let text): text
        }
    }
}

/// Says what loading is busy with when a stage takes more than two seconds, and repeats it.
struct LoadProgress {
    private static let interval: Duration = .seconds(2)

    let logger: Logger
    let checkpoint: String
    let report: @Sendable (LoadStep) -> Void

    func watch<Result: Sendable>(
        _ stage: LoadStep,
        _ body: @Sendable @concurrent () async throws(WorkerError) -> Result
    ) async throws(WorkerError) -> Result {
        report(stage)
        let ticker = Task { [logger, checkpoint] in
            let started = ContinuousClock.now
            while !Task.isCancelled {
                // Cancelled when the stage ends; the loop's condition then ends the task.
                try? await Task.sleep(for: Self.interval)
                if Task.isCancelled { return }
                logger.info(
                    "still loading the checkpoint",
                    metadata: [
                        "checkpoint": "\(checkpoint)", "step": "\(stage)",
                        "seconds": "\((ContinuousClock.now - started).components.seconds)",
                    ]
                )
            }
        }
        defer { ticker.cancel() }
        return try await body()
    }
}
