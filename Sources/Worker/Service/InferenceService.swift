package import GRPCCore
import GRPCProtobuf
import GrootAPI
import GrootCore
package import Logging
import Synchronization

/// `groot.v1.Inference`: checks a request, waits for its batch, answers with the chunk.
///
/// Any thread. Keeps nothing between two calls.
package final class InferenceService: RegistrableRPCService {
    private let worker: String
    private let state: ServingState
    private let metrics: WorkerMetrics
    private let logger: Logger
    private let failureLog = Mutex(RateLimit(every: .seconds(1)))
    private let rates = Mutex(RateCheck())
    private let rateLog = Mutex(RateLimit(every: .seconds(1)))

    package init(worker: String, state: ServingState, metrics: WorkerMetrics, logger: Logger) {
        self.worker = worker
        self.state = state
        self.metrics = metrics
        self.logger = logger
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Groot_V1_Inference.Method.Describe.descriptor,
            deserializer: ProtobufDeserializer<Groot_V1_DescribeRequest>(),
            serializer: ProtobufSerializer<Groot_V1_DescribeResponse>(),
            handler: { [self] _, _ in
                StreamingServerResponse(single: ServerResponse(message: try describe()))
            }
        )
        router.registerHandler(
            forMethod: Groot_V1_Inference.Method.Infer.descriptor,
            deserializer: TimedRequestDeserializer(),
            serializer: TimedResponseSerializer(),
            handler: { [self] stream, _ in
                StreamingServerResponse(single: try await respond(to: stream, arrived: .now()))
            }
        )
    }

    private func describe() throws(WorkerError) -> Groot_V1_DescribeResponse {
        var response = Groot_V1_DescribeResponse()
        response.worker = worker
        response.policies = try state.all().map { batcher in
            var policy = Groot_V1_Policy(batcher.runner.description)
            policy.runtimeVersion = batcher.runner.version
            return policy
        }
        return response
    }

    /// Whether it succeeds or not, the trailers tell the gateway how busy this worker is and what it serves.
    private func respond(
        to stream: StreamingServerRequest<TimedRequest>,
        arrived: MonotonicInstant
    ) async throws(RPCError) -> ServerResponse<Groot_V1_InferResponse> {
        var read: InferCall?
        do throws(WorkerError) {
            let call = try await InferCall(stream, arrived: arrived)
            read = call
            let started = MonotonicInstant.now()
            let response: Groot_V1_InferResponse
            do throws(WorkerError) {
                response = try await answer(call, started: started)
            } catch  where error.code == .retired {
                response = try await answer(call, started: started)
            }
            metrics.requestAnswered()
            checkRate(of: call)
            return ServerResponse(message: response, trailingMetadata: trailers(call.message.checkpoint))
        } catch {
            // The transport cancels a call when its deadline passes; the caller asked for that, not for a cancel.
            let late = error.code == .cancelled && read?.deadline.map { $0 <= MonotonicInstant.now() } == true
            let shown = late ? WorkerError(.deadlineExceeded, "The deadline passed before the chunk was ready.") : error
            metrics.requestFailed(shown.code)
            report(shown, read)
            var failure = RPCError(shown)
            failure.metadata.add(contentsOf: trailers(read?.message.checkpoint))
            throw failure
        }
    }

    /// - Parameter checkpoint: as the request selects it; nil when the request could not be read.
    private func trailers(_ checkpoint: String?) -> Metadata {
        var metadata = Metadata()
        metadata.addString("\(state.generation)", forKey: MetadataKey.generation)
        // Without a batcher (unknown name, not serving) there is no load to tell.
        if let checkpoint, let batcher = try? state.batcher(for: checkpoint) {
            metadata.addString(LoadTrailer.text(batcher.load, at: .now()), forKey: MetadataKey.load)
        }
        return metadata
    }

    private func checkRate(of call: InferCall) {
        guard let period = call.period, let batcher = try? state.batcher(for: call.message.checkpoint) else { return }
        let policy = batcher.runner.description
        let outcome = rates.withLock { $0.requestArrived(robot: call.robot, period: period, policy: policy) }
        guard case .differs(let message) = outcome else { return }
        metrics.rateDiffered()
        guard let message, let suppressed = rateLog.withLock({ $0.admit(at: .now()) }) else { return }
        logger.warning(
            "robot and checkpoint have different rates",
            metadata: ["robot": "\(call.robot)", "error": "\(message)", "suppressed": "\(suppressed)"]
        )
    }

    private func answer(
        _ call: InferCall,
        started: MonotonicInstant
    ) async throws(WorkerError) -> Groot_V1_InferResponse {
        let message = call.message
        if let deadline = call.deadline, deadline <= started {
            throw WorkerError(.deadlineExceeded, "The deadline had passed on arrival; no inference was run.")
        }
        let batcher = try state.batcher(for: message.checkpoint)
        let policy = batcher.runner.description
        let input = try PolicyInput(message, for: policy)
        let checked = MonotonicInstant.now()
        let answer = try await cancellable {
            await Result { () async throws(WorkerError) in
                try await batcher.infer(
                    input,
                    robot: call.robot,
                    observation: message.observationIndex,
                    deadline: call.deadline,
                    runway: call.runway
                )
            }
        }
        let answered = MonotonicInstant.now()
        var response = Groot_V1_InferResponse()
        response.requestID = message.requestID
        response.observationIndex = message.observationIndex
        response.capturedTick = message.capturedTick
        response.capturedAtNs = message.capturedAtNs
        response.worker = worker
        response.checkpoint = policy.checkpoint
        response.checkpointSha256 = policy.sha256
        let rows = message.maxRows == 0 ? policy.chunkSize : Int(message.maxRows)
        response.values = Array(answer.values.prefix(rows * policy.actionNames.count))
        response.rows = UInt32(rows)
        response.actionNames = policy.actionNames
        response.actionPeriodNs = policy.actionPeriod.nanoseconds.magnitude
        response.batchSize = UInt32(answer.batchSize)
        let finished = MonotonicInstant.now()

        // The stages cover the whole call, so that their sum is the time from the first byte decoded to the last
        // one encoded: hops between threads count as queue.
        let stages = answer.preprocess + answer.infer + answer.postprocess
        let preprocess = (checked - started) + answer.preprocess
        let postprocess = (finished - answered) + answer.postprocess
        let queue = max(.zero, (answered - checked) - stages)
        response.timings.queueNs = queue.unsignedNanoseconds
        response.timings.decodeNs = call.decode.unsignedNanoseconds
        response.timings.preprocessNs = preprocess.unsignedNanoseconds
        response.timings.inferNs = answer.infer.unsignedNanoseconds
        response.timings.postprocessNs = postprocess.unsignedNanoseconds
        metrics.record(queue, in: .queue)
        metrics.record(call.decode, in: .decode)
        metrics.record(preprocess, in: .preprocess)
        metrics.record(answer.infer, in: .infer)
        metrics.record(postprocess, in: .postprocess)
        metrics.record(finished - started + call.decode, in: .total)
        return response
    }

    /// Turns the transport's cancellation (deadline, lost peer) into a task's.
    ///
    /// The transport also cancels every call when a graceful shutdown begins; those calls are to finish.
    private func cancellable<Value: Sendable>(
        _ body: @escaping @Sendable () async -> Result<Value, WorkerError>
    ) async throws(WorkerError) -> Value {
        let task = Task { await body() }
        let result = await withTaskCancellationHandler {
            await withRPCCancellationHandler {
                await task.value
            } onCancelRPC: { [state] in
                if state.phase != .draining { task.cancel() }
            }
        } onCancel: {
            task.cancel()
        }
        return try result.get()
    }

    private func report(_ error: WorkerError, _ call: InferCall?) {
        guard let suppressed = failureLog.withLock({ $0.admit(at: .now()) }) else { return }
        let level: Logger.Level =
            switch error.code {
            case .inferenceFailed, .runtimeMissing, .badCheckpoint, .deviceLost, .runtimeHung: .error
            case .queueFull, .badRequest, .notTheSpeaker, .unanswerable, .unknownCheckpoint, .outOfMemory, .runtimeLost,
                .overBudget, .retired:
                .warning
            case .superseded, .cancelled, .deadlineExceeded, .notServing: .info
            }
        logger.log(
            level: level,
            "inference request failed",
            metadata: [
                "robot": "\(ReadableText.clipped(call?.robot ?? "?"))",
                "request_id": "\(ReadableText.clipped(call?.message.requestID ?? "?"))",
                "error": "\(ReadableText.clipped("\(error)"))",
                "suppressed": "\(suppressed)",
            ]
        )
    }
}
