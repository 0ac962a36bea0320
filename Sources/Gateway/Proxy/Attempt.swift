import GrootAPI
import GrootCore
import HTTP2
import NIOCore

/// One try of one request on one upstream: the handler of the upstream's stream. Confined to the event loop.
final class Attempt: HTTP2StreamHandler {
    /// What became of an attempt that brought no response.
    enum Failure: Equatable {
        /// The worker cannot have seen it; says nothing about the worker.
        case neverProcessed
        /// The connection is gone, the stream was refused, or the worker says UNAVAILABLE or RESOURCE_EXHAUSTED.
        case workerFailed
        /// Another worker would do the same.
        case final
    }

    let upstream: Upstream
    /// Nil when either is over, which breaks the cycle: a weak reference would make every retain of it a slow one.
    private var request: ProxyRequest?
    private let shared: GatewayShared
    let ticket: Ticket?
    private var stream: HTTP2Stream?
    /// Number of the upstream's connection that carries it.
    private let generation: Int
    private let startedAt: MonotonicInstant
    /// When the last byte of the request was handed to the worker's socket.
    private var deliveredAt: MonotonicInstant?
    /// Response headers were passed on: nothing can be repeated any more.
    private(set) var hasAnswered = false
    private var isOver = false
    private var outcome: AttemptOutcome?
    private var load: WorkerLoad?
    private var answerTime: Duration?
    private var statusIsOK = false

    init(_ request: ProxyRequest, upstream: Upstream, ticket: Ticket?, shared: GatewayShared) {
        self.request = request
        self.upstream = upstream
        self.generation = upstream.generation
        self.ticket = ticket
        self.shared = shared
        self.startedAt = .now()
    }

    /// Sends the headers and what is there of the body; false when the connection takes no stream after all.
    func start(_ headers: HTTP2Headers, body: [ByteBuffer], complete: Bool) -> Bool {
        do throws(HTTP2Error) {
            let stream = try upstream.open(headers, attempt: self)
            self.stream = stream
            for part in body { stream.send(body: part) }
            if complete { stream.finish() }
            return true
        } catch {
            settle(.neverSeen)
            return false
        }
    }

    func send(_ part: ByteBuffer) {
        stream?.send(body: part)
    }

    func finish() {
        stream?.finish()
    }

    func delivered() {
        if deliveredAt == nil { deliveredAt = .now() }
    }

    /// Body bytes of the response went to the robot: the worker gets credit for them.
    func consumed(_ byteCount: Int) {
        stream?.consumed(byteCount)
    }

    /// The request is over for other reasons: deadline, robot gone, retried elsewhere.
    func cancel(_ outcome: AttemptOutcome? = nil) {
        guard !isOver else { return }
        settle(outcome ?? .abandoned)
        request = nil
        stream?.reset(.cancel)
    }

    /// Health checks fail: moves to another worker if there is one.
    func workerWentDown() {
        guard !isOver, !hasAnswered else { return }
        request?.workerWentDown(self)
    }

    // MARK: HTTP2StreamHandler

    func received(headers: HTTP2Headers) {
        guard !isOver, let request else { return }
        let now = MonotonicInstant.now()
        let time = now - (deliveredAt ?? now)
        guard headers[":status"] == "200", headers["content-type"]?.hasPrefix("application/grpc") == true else {
            let code = headers[":status"].flatMap { Int($0) } ?? 0
            let status = GRPCStatus(httpStatus: code, from: upstream.name)
            fail(status.code == .unavailable ? .workerFailed : .final, status)
            return
        }
        if let status = headers["grpc-status"] {
            // Trailers-Only.
            let verdict = Self.outcome(status, headers)
            if status == "14" || status == "8", request.canRepeatElsewhere(after: self) {
                let code: GRPCStatus.Code = status == "14" ? .unavailable : .resourceExhausted
                fail(.workerFailed, GRPCStatus(code, headers["grpc-message"] ?? ""), verdict)
                return
            }
            statusIsOK = status == "0"
            outcome = verdict
            load = headers[MetadataKey.load].flatMap { WorkerLoad($0) }
            hasAnswered = true
            request.respond(headers, from: self, endStream: true)
            return
        }
        answerTime = time
        hasAnswered = true
        request.respond(headers, from: self, endStream: false)
    }

    func received(body: ByteBuffer) {
        guard !isOver, hasAnswered, let request else {
            stream?.consumed(body.readableBytes)
            return
        }
        request.respond(body: body)
    }

    func received(trailers: HTTP2Headers) {
        guard !isOver, hasAnswered, let request else { return }
        let status = trailers["grpc-status"] ?? "2"
        statusIsOK = status == "0"
        outcome = Self.outcome(status, trailers)
        load = trailers[MetadataKey.load].flatMap { WorkerLoad($0) }
        request.respond(trailers: trailers)
    }

    func receivedEnd() {
        guard !isOver, hasAnswered else { return }
        request?.respondedFully()
        settle(outcome ?? .declined)
        // The response is complete before the request: the rest of the upload is of no use.
        if let stream, !stream.localFinished || stream.queuedBytes > 0 { stream.reset(.cancel) }
    }

    func bodyLeft(byteCount: Int) {
        guard !isOver else { return }
        request?.bodyLeft(byteCount, from: self)
    }

    func closed(_ closure: HTTP2StreamClosure) {
        stream = nil
        defer { request = nil }
        guard !isOver else { return }
        switch closure.cause {
        // A connection that was replaced meanwhile refuses because it ends, not because the worker has too much to do.
        case .neverProcessed
        where closure.code == .refusedStream && upstream.canTake && upstream.generation == generation:
            fail(.workerFailed, GRPCStatus(.unavailable, "\(upstream.name) refused the stream"))
        case .neverProcessed:
            fail(.neverProcessed, GRPCStatus(.unavailable, "\(upstream.name) takes no more requests"))
        case .connectionLost:
            fail(.workerFailed, GRPCStatus(.unavailable, "the connection to \(upstream.name) was lost"))
        case .reset:
            fail(.final, GRPCStatus(reset: closure.code, from: upstream.name))
        case .ended:
            fail(.final, GRPCStatus(.internal, "\(upstream.name) ended the stream without a status"))
        }
    }

    /// What a status says of the worker: INTERNAL and UNAVAILABLE are its failures, the rest are its caller's affairs.
    private static func outcome(_ status: String, _ fields: HTTP2Headers) -> AttemptOutcome {
        switch status {
        case "0": return .answered
        case "8":
            let pushback = fields["grpc-retry-pushback-ms"].flatMap { Int64($0) }
            return .refused(retryAfter: pushback.flatMap { $0 > 0 ? .milliseconds($0) : nil })
        case "13", "14": return .failed
        default: return .declined
        }
    }

    private func fail(_ failure: Failure, _ status: GRPCStatus, _ outcome: AttemptOutcome = .failed) {
        let request = request
        cancel(failure == .neverProcessed ? .neverSeen : outcome)
        request?.attemptFailed(self, failure, status)
    }

    /// Takes the attempt off the books, once.
    private func settle(_ outcome: AttemptOutcome) {
        guard !isOver else { return }
        isOver = true
        upstream.ended(self)
        guard let ticket, let member = upstream.member, let pool = upstream.pool else { return }
        var books = (inFlight: 0, service: 0.0)
        pool.change { scheduler, now in
            let given = scheduler.finished(ticket, outcome, load: load, at: now)
            if let worker = scheduler.worker(ticket.worker) {
                books = (worker.inFlight, worker.groups[0].times.seconds(batch: 1, idle: false, at: now))
            }
            return given
        }
        let metrics = member.metrics
        metrics.inFlight.set(Double(books.inFlight))
        metrics.service.set(books.service)
        switch outcome {
        case .answered, .declined:
            (statusIsOK ? metrics.ok : metrics.failed).increment()
            if let answerTime { metrics.answer.record(answerTime) }
        case .refused: metrics.refused.increment()
        case .failed: (hasAnswered ? metrics.failed : metrics.lost).increment()
        case .abandoned: metrics.abandoned.increment()
        case .neverSeen: metrics.unseen.increment()
        }
    }
}
