import GrootCore
import HTTP2
import NIOCore

/// One try of one request on one upstream: the handler of the upstream's stream. Confined to the event loop.
final class Attempt: HTTP2StreamHandler {
    /// What became of an attempt that brought no response.
    enum Failure: Equatable {
        /// The worker cannot have seen it; says nothing about the worker.
        case neverProcessed
        /// The connection is gone, the stream was refused, or the worker says UNAVAILABLE.
        case workerFailed
        /// Another worker would do the same.
        case final
    }

    let upstream: Upstream
    private weak var request: ProxyRequest?
    private let shared: GatewayShared
    private let ticket: Balancer.Ticket?
    private var stream: HTTP2Stream?
    private let startedAt: MonotonicInstant
    /// When the last byte of the request was handed to the worker's socket.
    private var deliveredAt: MonotonicInstant?
    /// Response headers were passed on: nothing can be repeated any more.
    private(set) var hasAnswered = false
    private var isOver = false
    private var outcome: Balancer.Outcome?
    private var statusIsOK = false

    init(_ request: ProxyRequest, upstream: Upstream, shared: GatewayShared) {
        self.request = request
        self.upstream = upstream
        self.shared = shared
        self.startedAt = .now()
        if case .worker(let index) = upstream.kind {
            ticket = shared.withBalancer { $0.dispatched(to: index) }
            shared.metrics.workers[index].inFlight.set(Double(shared.withBalancer { $0.inFlight(index) }))
        } else {
            ticket = nil
        }
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
            settle(.abandoned(after: .zero))
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
    func cancel(_ outcome: Balancer.Outcome? = nil) {
        guard !isOver else { return }
        settle(outcome ?? .abandoned(after: .now() - (deliveredAt ?? startedAt)))
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
            if status == "14", request.canRepeatElsewhere(after: self) {
                fail(.workerFailed, GRPCStatus(.unavailable, headers["grpc-message"] ?? ""))
                return
            }
            statusIsOK = status == "0"
            outcome = status == "14" ? .failed : .answered(after: time)
            hasAnswered = true
            request.respond(headers, from: self, endStream: true)
            return
        }
        outcome = .answered(after: time)
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
        statusIsOK = trailers["grpc-status"] == "0"
        request.respond(trailers: trailers)
    }

    func receivedEnd() {
        guard !isOver, hasAnswered else { return }
        request?.respondedFully()
        settle(outcome ?? .answered(after: .now() - startedAt))
        // The response is complete before the request: the rest of the upload is of no use.
        if let stream, !stream.localFinished || stream.queuedBytes > 0 { stream.reset(.cancel) }
    }

    func bodyLeft(byteCount: Int) {
        guard !isOver else { return }
        request?.bodyLeft(byteCount, from: self)
    }

    func closed(_ closure: HTTP2StreamClosure) {
        stream = nil
        guard !isOver else { return }
        switch closure.cause {
        case .neverProcessed where closure.code == .refusedStream && upstream.canTake:
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

    private func fail(_ failure: Failure, _ status: GRPCStatus) {
        let request = request
        cancel(failure == .neverProcessed ? .abandoned(after: .zero) : .failed)
        request?.attemptFailed(self, failure, status)
    }

    /// Takes the attempt off the books, once.
    private func settle(_ outcome: Balancer.Outcome) {
        guard !isOver else { return }
        isOver = true
        upstream.ended(self)
        guard let ticket else { return }
        let now = MonotonicInstant.now()
        let (inFlight, service) = shared.withBalancer { balancer in
            balancer.finished(ticket, outcome, at: now)
            return (balancer.inFlight(ticket.worker), balancer.serviceTime(of: ticket.worker, at: now))
        }
        let metrics = shared.metrics.workers[ticket.worker]
        metrics.inFlight.set(Double(inFlight))
        if let service { metrics.service.set(service) }
        switch outcome {
        case .answered(let time):
            (statusIsOK ? metrics.ok : metrics.failed).increment()
            metrics.answer.record(time)
        case .failed: (hasAnswered ? metrics.failed : metrics.lost).increment()
        case .abandoned: metrics.abandoned.increment()
        }
    }
}
