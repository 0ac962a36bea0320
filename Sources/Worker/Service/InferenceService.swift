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
                let arrived = MonotonicInstant.now()
                let request = try await ServerRequest(stream: stream)
                let timeout = request.metadata[stringValues: "grpc-timeout"].first { _ in true }
                let deadline = timeout.flatMap(GRPCTimeout.parse).map { arrived + $0 }
                let runway = try Self.runway(in: request.metadata)
                let period = try Self.milliseconds(MetadataKey.actionPeriod, 1...60_000, in: request.metadata)
                let response = try await respond(to: request.message, deadline: deadline, runway: runway)
                checkRate(of: request.message.message, period: period)
                return StreamingServerResponse(single: response)
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

    /// Whether it succeeds or not, the trailers tell the gateway how busy this worker is.
    private func respond(
        to request: TimedRequest,
        deadline: MonotonicInstant?,
        runway: Duration?
    ) async throws(RPCError) -> ServerResponse<Groot_V1_InferResponse> {
        let started = MonotonicInstant.now()
        do throws(WorkerError) {
            let response: Groot_V1_InferResponse
            do throws(WorkerError) {
                response = try await answer(request, started: started, deadline: deadline, runway: runway)
            } catch  where error.code == .retired {
                response = try await answer(request, started: started, deadline: deadline, runway: runway)
            }
            metrics.requestAnswered()
            return ServerResponse(message: response, trailingMetadata: loadTrailer(request.message.checkpoint))
        } catch {
            // The transport cancels a call when its deadline passes; the caller asked for that, not for a cancel.
            let late = error.code == .cancelled && deadline.map { $0 <= MonotonicInstant.now() } == true
            let shown = late ? WorkerError(.deadlineExceeded, "The deadline passed before the chunk was ready.") : error
            metrics.requestFailed(shown.code)
            report(shown, request.message)
            var failure = RPCError(shown)
            failure.metadata.add(contentsOf: loadTrailer(request.message.checkpoint))
            throw failure
        }
    }

    private func loadTrailer(_ checkpoint: String) -> Metadata {
        var metadata = Metadata()
        // Without a batcher (unknown name, not serving) there is no load to tell.
        if let batcher = try? state.batcher(for: checkpoint) {
            metadata.addString(LoadTrailer.text(batcher.load, at: .now()), forKey: MetadataKey.load)
        }
        return metadata
    }

    private static func runway(in metadata: Metadata) throws(WorkerError) -> Duration? {
        try milliseconds(MetadataKey.runway, 0...3_600_000, in: metadata)
    }

    private static func milliseconds(
        _ key: String,
        _ allowed: ClosedRange<Int64>,
        in metadata: Metadata
    ) throws(WorkerError) -> Duration? {
        guard let text = metadata[stringValues: key].first(where: { _ in true }) else { return nil }
        guard let milliseconds = Int64(text), allowed.contains(milliseconds) else {
            throw WorkerError(
                .badRequest,
                "\(key) is \"\(text)\", expected whole milliseconds from \(allowed.lowerBound) to \(allowed.upperBound)."
            )
        }
        return .milliseconds(milliseconds)
    }

    /// After the answer, so that it costs the robot nothing.
    private func checkRate(of request: Groot_V1_InferRequest, period: Duration?) {
        guard let period, let batcher = try? state.batcher(for: request.checkpoint) else { return }
        let policy = batcher.runner.description
        let outcome = rates.withLock { $0.requestArrived(robot: request.robot, period: period, policy: policy) }
        guard case .differs(let message) = outcome else { return }
        metrics.rateDiffered()
        guard let message, let suppressed = rateLog.withLock({ $0.admit(at: .now()) }) else { return }
        logger.warning(
            "robot and checkpoint have different rates",
            metadata: ["robot": "\(request.robot)", "error": "\(message)", "suppressed": "\(suppressed)"]
        )
    }

    private func answer(
        _ request: TimedRequest,
        started: MonotonicInstant,
        deadline: MonotonicInstant?,
        runway: Duration?
    ) async throws(WorkerError) -> Groot_V1_InferResponse {
        let message = request.message
        if let deadline, deadline <= started {
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
                    robot: message.robot,
                    observation: message.observationIndex,
                    deadline: deadline,
                    runway: runway
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
        response.timings.decodeNs = request.decode.unsignedNanoseconds
        response.timings.preprocessNs = preprocess.unsignedNanoseconds
        response.timings.inferNs = answer.infer.unsignedNanoseconds
        response.timings.postprocessNs = postprocess.unsignedNanoseconds
        metrics.record(queue, in: .queue)
        metrics.record(request.decode, in: .decode)
        metrics.record(preprocess, in: .preprocess)
        metrics.record(answer.infer, in: .infer)
        metrics.record(postprocess, in: .postprocess)
        metrics.record(finished - started + request.decode, in: .total)
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

    private func report(_ error: WorkerError, _ request: Groot_V1_InferRequest) {
        guard let suppressed = failureLog.withLock({ $0.admit(at: .now()) }) else { return }
        let level: Logger.Level =
            switch error.code {
            case .inferenceFailed, .runtimeMissing, .badCheckpoint, .deviceLost: .error
            case .queueFull, .badRequest, .unknownCheckpoint, .runtimeLost, .overBudget, .retired: .warning
            case .superseded, .cancelled, .deadlineExceeded, .notServing: .info
            }
        logger.log(
            level: level,
            "inference request failed",
            metadata: [
                "robot": "\(request.robot)", "request_id": "\(request.requestID)", "error": "\(error)",
                "suppressed": "\(suppressed)",
            ]
        )
    }
}
