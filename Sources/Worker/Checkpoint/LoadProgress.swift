import Logging

/// Says what loading is busy with when a stage takes more than two seconds, and repeats it.
struct LoadProgress {
    private static let interval: Duration = .seconds(2)

    let logger: Logger
    let checkpoint: String

    func watch<Result: Sendable>(
        _ stage: String,
        _ body: @Sendable @concurrent () async throws(WorkerError) -> Result
    ) async throws(WorkerError) -> Result {
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
