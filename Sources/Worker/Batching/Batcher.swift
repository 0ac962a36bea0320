package import GrootCore

/// The shell around `BatchQueue`: holds the waiting calls, runs the batches of one checkpoint.
///
/// Owns the queue and the calls' continuations. Every call ends exactly once: with its chunk, or with the
/// error that the queue or the runner decided.
package actor Batcher {
    package struct Answer: Sendable {
        package var values: [Float]
        package var queue: Duration
        package var preprocess: Duration
        package var infer: Duration
        package var postprocess: Duration
        package var batchSize: Int
    }

    private struct Call {
        var input: PolicyInput
        var arrived: MonotonicInstant
        var continuation: CheckedContinuation<Result<Answer, WorkerError>, Never>
    }

    package nonisolated let runner: any BatchRunner
    private let metrics: WorkerMetrics
    private let configuration: BatchQueue<UInt64>.Configuration
    private var queue: BatchQueue<UInt64>
    private var calls: [UInt64: Call] = [:]
    private var lastID: UInt64 = 0
    private var idleWaiters: [CheckedContinuation<Void, Never>] = []

    package init(runner: any BatchRunner, configuration: BatchQueue<UInt64>.Configuration, metrics: WorkerMetrics) {
        self.runner = runner
        self.configuration = configuration
        self.metrics = metrics
        queue = BatchQueue(configuration: configuration)
    }

    /// Waits for a place in a batch, runs it, returns the row that belongs to this request.
    package func infer(
        _ input: PolicyInput,
        robot: String,
        observation: UInt64,
        deadline: MonotonicInstant?
    ) async throws(WorkerError) -> Answer {
        lastID += 1
        let id = lastID
        let arrived = MonotonicInstant.now()
        let entry = BatchQueue<UInt64>.Entry(id: id, robot: robot, observation: observation, deadline: deadline)
        let result: Result<Answer, WorkerError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: .failure(Self.cancelledError))
                    return
                }
                calls[id] = Call(input: input, arrived: arrived, continuation: continuation)
                perform(queue.requestArrived(entry, at: arrived))
            }
        } onCancel: {
            Task { await self.cancel(id) }
        }
        return try result.get()
    }

    /// Returns when nothing waits and nothing runs.
    package func waitUntilIdle() async {
        if queue.isIdle { return }
        await withCheckedContinuation { idleWaiters.append($0) }
    }

    package var waitingCount: Int { queue.waitingCount }

    private static let cancelledError = WorkerError(.cancelled, "The caller cancelled the request.")

    private func cancel(_ id: UInt64) {
        queue.requestCancelled(id)
        // A call that already runs is ended too; its row of the batch is then nobody's.
        end(id, .failure(Self.cancelledError))
        settle()
    }

    private func perform(_ actions: [BatchQueue<UInt64>.Action]) {
        for action in actions {
            switch action {
            case .run(let ids):
                start(ids)
            case .supersede(let id, let observation):
                end(id, .failure(WorkerError(.superseded, "superseded by observation \(observation)")))
            case .refuse(let id):
                let message =
                    "\(configuration.maxWaiting) requests wait already. Retry with a newer observation after the"
                    + " time one inference takes, or add a worker."
                end(id, .failure(WorkerError(.queueFull, message)))
            case .expire(let id):
                let message = "The deadline passed while the request waited; no inference was run."
                end(id, .failure(WorkerError(.deadlineExceeded, message)))
            }
        }
        settle()
    }

    private func start(_ ids: [UInt64]) {
        let started = MonotonicInstant.now()
        let inputs = ids.compactMap { calls[$0]?.input }
        metrics.batchStarted(size: inputs.count)
        Task {
            let outcome = await Result { () async throws(WorkerError) in try await runner.run(inputs) }
            finish(ids, started: started, outcome)
        }
    }

    private func finish(_ ids: [UInt64], started: MonotonicInstant, _ outcome: Result<BatchResult, WorkerError>) {
        let finished = MonotonicInstant.now()
        for (row, id) in ids.enumerated() {
            guard let call = calls[id] else { continue }
            switch outcome {
            case .failure(let error):
                end(id, .failure(error))
            case .success(let batch):
                // What the stages do not cover is waiting: before the batch and for this actor after it.
                let busy = batch.preprocess + batch.infer + batch.postprocess
                end(
                    id,
                    batch.chunks[row].map { values in
                        Answer(
                            values: values,
                            queue: max(.zero, finished - call.arrived - busy),
                            preprocess: batch.preprocess,
                            infer: batch.infer,
                            postprocess: batch.postprocess,
                            batchSize: ids.count
                        )
                    }
                )
            }
        }
        perform(queue.batchFinished(at: finished))
    }

    private func end(_ id: UInt64, _ result: Result<Answer, WorkerError>) {
        calls.removeValue(forKey: id)?.continuation.resume(returning: result)
    }

    private func settle() {
        metrics.waiting.set(Double(queue.waitingCount))
        guard queue.isIdle else { return }
        for waiter in idleWaiters { waiter.resume() }
        idleWaiters = []
    }
}
