package import GrootCore
import Synchronization

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
        var robot: String
        var input: PolicyInput
        var arrived: MonotonicInstant
        var continuation: CheckedContinuation<Result<Answer, WorkerError>, Never>
    }

    /// What the gateway wants to know about a worker, as of now.
    package struct Load: Hashable, Sendable {
        /// Requests that wait, and those in the running batch.
        package var queue = 0
        package var running = 0
        package var batchCapacity: Int
        /// Time of the last batch, and the requests that were in it.
        package var batch = Duration.zero
        package var batchSize = 0
        /// When the running batch should be done.
        package var finish: MonotonicInstant?
    }

    package nonisolated let runner: any PolicyRuntime
    /// Tells two batchers of one checkpoint name apart (see `CheckpointKeeper`).
    package nonisolated let key: String
    /// Written by this actor after every change, read by anyone.
    private nonisolated let loadNow: Mutex<Load>
    private let metrics: WorkerMetrics
    private let configuration: BatchQueue<UInt64>.Configuration
    private var queue: BatchQueue<UInt64>
    private var calls: [UInt64: Call] = [:]
    private var lastID: UInt64 = 0
    private var idleWaiters: [CheckedContinuation<Void, Never>] = []
    private var lastBatch = Duration.zero
    private var lastBatchSize = 0
    private var isRetired = false
    /// When the policy last answered anybody.
    private var lastAnswer: MonotonicInstant?
    /// How long an answer shows that the policy works.
    private static let proof: Duration = .seconds(1)

    package init(
        runner: any PolicyRuntime,
        configuration: BatchQueue<UInt64>.Configuration,
        metrics: WorkerMetrics,
        key: String = ""
    ) {
        self.key = key
        self.runner = runner
        var configuration = configuration
        let able = runner.description.maxBatch
        if able > 0 { configuration.maxBatch = min(configuration.maxBatch, able) }
        self.configuration = configuration
        self.metrics = metrics
        let times = BatchTimes(maxBatch: configuration.maxBatch, seeds: runner.description.batchTimes)
        queue = BatchQueue(configuration: configuration, times: times)
        loadNow = Mutex(Load(batchCapacity: configuration.maxBatch))
    }

    package nonisolated var load: Load { loadNow.withLock { $0 } }

    /// Waits for a place in a batch, runs it, returns the row that belongs to this request.
    ///
    /// - Parameter runway: motion time that the robot has left now; nil when it did not say.
    package func infer(
        _ input: PolicyInput,
        robot: String,
        observation: UInt64,
        deadline: MonotonicInstant?,
        runway: Duration? = nil
    ) async throws(WorkerError) -> Answer {
        guard !isRetired else {
            throw WorkerError(.retired, "\(runner.description.checkpoint) was exchanged or unloaded; ask again.")
        }
        lastID += 1
        let id = lastID
        let arrived = MonotonicInstant.now()
        let entry = BatchQueue<UInt64>.Entry(
            id: id,
            robot: robot,
            observation: observation,
            deadline: deadline,
            runsDryAt: runway.map { arrived + $0 }
        )
        let result: Result<Answer, WorkerError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: .failure(Self.cancelledError))
                    return
                }
                calls[id] = Call(robot: robot, input: input, arrived: arrived, continuation: continuation)
                perform(queue.requestArrived(entry, at: arrived))
            }
        } onCancel: {
            Task { await self.cancel(id) }
        }
        return try result.get()
    }

    /// Takes nothing more and returns when what it had is answered.
    package func retire() async {
        isRetired = true
        await waitUntilIdle()
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
            case .refuse(let id, let wait):
                let message =
                    "\(configuration.maxWaiting) requests wait already. Retry with a newer observation in"
                    + " \(wait.wholeMilliseconds) ms, or add a worker."
                end(id, .failure(WorkerError(.queueFull, message, retryAfter: wait)))
            case .refuseLate(let id, let wait):
                let message =
                    "The chunk would be ready \(wait.wholeMilliseconds) ms after the deadline; nothing was computed."
                    + " Retry with a newer observation, or add a worker."
                end(id, .failure(WorkerError(.queueFull, message, retryAfter: wait)))
            case .expire(let id):
                let message = "The deadline passed while the request waited; no inference was run."
                end(id, .failure(WorkerError(.deadlineExceeded, message)))
            case .wake(let instant):
                // Unowned by any call: it ends by itself, and a wake too many changes nothing.
                Task {
                    try? await Task.sleep(for: instant - .now())
                    perform(queue.timeReached(at: .now()))
                }
            }
        }
        settle()
    }

    private func start(_ ids: [UInt64]) {
        let started = MonotonicInstant.now()
        let inputs = ids.compactMap { calls[$0]?.input }
        let robots = ids.map { calls[$0]?.robot ?? "" }
        metrics.batchStarted(size: inputs.count)
        let isProven =
            robots.allSatisfy(queue.isSuspect) && lastAnswer.map { started - $0 < Self.proof } ?? false
        let run = BatchRun(
            runner: runner,
            isProven: isProven,
            isWanted: { await self.calls[ids[$0]] != nil },
            answered: { await self.end(ids[$0], with: $1) }
        )
        Task { finish(ids, robots, started: started, await run.run(inputs)) }
    }

    private func finish(_ ids: [UInt64], _ robots: [String], started: MonotonicInstant, _ outcome: BatchRun.Outcome) {
        let finished = MonotonicInstant.now()
        var verdict = BatchQueue<UInt64>.Verdict(isTypical: !outcome.wasSplit)
        for (row, result) in outcome.rows.enumerated() {
            switch result {
            case .success(let answer):
                verdict.answered.append(robots[row])
                lastAnswer = finished
                end(ids[row], with: answer)
            case .failure(let error):
                // Who ended the runtime is not known: each of them runs alone until it has had an answer.
                if error.code == .unanswerable || (error.code == .runtimeLost && ids.count > 1) {
                    verdict.failed.append(robots[row])
                }
                end(ids[row], .failure(error))
            }
        }
        // A batch that was run twice took longer than one does.
        if verdict.isTypical {
            lastBatch = finished - started
            lastBatchSize = ids.count
        }
        perform(queue.batchFinished(at: finished, verdict))
    }

    private func end(_ id: UInt64, with answer: BatchRun.Row) {
        guard let call = calls[id] else { return }
        // What the stages do not cover is waiting: before the batch and for this actor after it.
        let busy = answer.preprocess + answer.infer + answer.postprocess
        end(
            id,
            .success(
                Answer(
                    values: answer.values,
                    queue: max(.zero, MonotonicInstant.now() - call.arrived - busy),
                    preprocess: answer.preprocess,
                    infer: answer.infer,
                    postprocess: answer.postprocess,
                    batchSize: answer.batchSize
                )
            )
        )
    }

    private func end(_ id: UInt64, _ result: Result<Answer, WorkerError>) {
        calls.removeValue(forKey: id)?.continuation.resume(returning: result)
    }

    private func settle() {
        metrics.waiting.set(Double(queue.waitingCount))
        loadNow.withLock {
            $0.queue = queue.waitingCount
            $0.running = queue.runningCount
            $0.finish = queue.expectedFinish
            $0.batch = lastBatch
            $0.batchSize = lastBatchSize
        }
        guard queue.isIdle else { return }
        for waiter in idleWaiters { waiter.resume() }
        idleWaiters = []
    }
}

extension Duration {
    /// Rounded up, at least 1: what an error message and a header can say.
    package var wholeMilliseconds: Int64 { max(1, (nanoseconds + 999_999) / 1_000_000) }
}
