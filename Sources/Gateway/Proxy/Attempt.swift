import GrootAPI
import GrootCore
import HTTP2
import NIOCore

/// One try of one request on one upstream: the handler of the upstream's stream. Confined to the event loop.
///
/// An answer of a worker is kept until it is whole, so that one that breaks off can be had from another worker. How an
/// attempt ended, and whose fault that is, `OutcomeTable` says.
final class Attempt: HTTP2StreamHandler {
    private enum State {
        /// Nothing has come.
        case open
        /// Headers have come, the rest is kept with them.
        case collecting(WorkerAnswer)
        /// The rest is passed on as it comes.
        case passing
        case over
    }

    let upstream: Upstream
    let number: Int
    let ticket: Ticket?
    /// Whole once the attempt is over with an answer.
    private(set) var answer: WorkerAnswer?
    /// Nil when either is over, which breaks the cycle: a weak reference would make every retain of it a slow one.
    private var request: ProxyRequest?
    private let shared: GatewayShared
    private let bodyBytes: Int
    /// Number of the upstream's connection that carries it.
    private let generation: Int
    private var sentBytes = 0
    /// Bytes of the answer for which the worker got credit before they were passed on.
    private var creditedBytes = 0
    private var state = State.open
    private var stream: HTTP2Stream?
    /// When the last byte of the request was handed to the worker's socket.
    private var deliveredAt: MonotonicInstant?
    private var answerTime: Duration?

    init(
        _ request: ProxyRequest,
        upstream: Upstream,
        attempt: RequestMachine.Try,
        bodyBytes: Int,
        shared: GatewayShared
    ) {
        self.request = request
        self.upstream = upstream
        self.generation = upstream.generation
        self.number = attempt.number
        self.ticket = attempt.ticket
        self.bodyBytes = bodyBytes
        self.shared = shared
    }

    private var isOver: Bool { if case .over = state { true } else { false } }

    /// Later than any answer should be, and than this one was expected.
    func isOverdue(after limit: Duration, at now: MonotonicInstant) -> Bool {
        guard limit > .zero, let ticket else { return false }
        return now - ticket.startedAt >= max(limit, ticket.expected * 3)
    }

    /// Sends the whole request; false when the connection takes no stream after all.
    func start(_ headers: HTTP2Headers, body: [ByteBuffer]) -> Bool {
        do throws(HTTP2Error) {
            let stream = try upstream.open(headers, attempt: self)
            self.stream = stream
            for part in body { stream.send(body: part) }
            stream.finish()
            return true
        } catch {
            settle(.neverSeen)
            return false
        }
    }

    /// Body bytes of a passed answer went to the robot: the worker gets credit for them.
    func consumed(_ byteCount: Int) {
        guard case .passing = state else { return }
        let ahead = min(creditedBytes, byteCount)
        creditedBytes -= ahead
        stream?.consumed(byteCount - ahead)
    }

    /// The request is over for other reasons: deadline, robot gone, answered by another one.
    func cancel(_ outcome: AttemptOutcome) {
        guard !isOver else { return }
        settle(outcome)
        request = nil
        stream?.reset(.cancel)
    }

    /// Health checks fail: moves to another worker if there is one.
    func workerWentDown() {
        switch state {
        case .open, .collecting: request?.workerWentDown(self)
        case .passing, .over: break
        }
    }

    // MARK: HTTP2StreamHandler

    func received(headers: HTTP2Headers) {
        guard case .open = state, let request else { return }
        let now = MonotonicInstant.now()
        let status = headers[":status"]
        guard status == "200", headers["content-type"]?.hasPrefix("application/grpc") == true else {
            let code = status.flatMap { Int($0) } ?? 0
            end(.http(code), GRPCStatus(httpStatus: code, from: upstream.name))
            return
        }
        answerTime = now - (deliveredAt ?? now)
        // The control plane's streams are answered bit by bit.
        if upstream.member == nil, !headers.contains("grpc-status") {
            state = .passing
            answer = WorkerAnswer(headers: headers)
            request.answerBegan(self)
        } else {
            state = .collecting(WorkerAnswer(headers: headers))
        }
    }

    func received(body: ByteBuffer) {
        switch state {
        case .passing: request?.respond(body: body)
        case .collecting(var answer):
            // No copy of what is kept: the state holds nothing meanwhile.
            state = .open
            answer.append(body)
            state = .collecting(answer)
            stream?.consumed(body.readableBytes)
            guard answer.byteCount > shared.heldAnswerLimit, let request else { return }
            state = .passing
            creditedBytes = answer.byteCount
            self.answer = answer
            request.answerBegan(self)
        case .open, .over: stream?.consumed(body.readableBytes)
        }
    }

    func received(trailers: HTTP2Headers) {
        switch state {
        case .passing: request?.respond(trailers: trailers)
        case .collecting(var answer):
            answer.trailers = trailers
            state = .collecting(answer)
        case .open, .over: break
        }
    }

    func receivedEnd() {
        switch state {
        case .collecting(let answer): ended(with: answer)
        case .passing:
            let request = request
            settle(.answered)
            self.request = nil
            request?.answerEnded(self)
        case .open, .over: return
        }
        // The response is complete before the request: the rest of the upload is of no use.
        if let stream, !stream.isClosed, stream.queuedBytes > 0 { stream.reset(.cancel) }
    }

    func bodyLeft(byteCount: Int) {
        sentBytes += byteCount
        if sentBytes >= bodyBytes, deliveredAt == nil { deliveredAt = .now() }
    }

    func closed(_ closure: HTTP2StreamClosure) {
        stream = nil
        defer { request = nil }
        guard !isOver else { return }
        let name = upstream.name
        switch closure.cause {
        // A connection that was replaced meanwhile refuses because it ends, not because the worker has too much to do.
        case .neverProcessed
        where closure.code == .refusedStream && upstream.canTake && upstream.generation == generation:
            end(.refusedStream, GRPCStatus(.unavailable, "\(name) refused the stream"))
        case .neverProcessed: end(.neverProcessed, GRPCStatus(.unavailable, "\(name) takes no more requests"))
        case .connectionLost: end(.connectionLost, GRPCStatus(.unavailable, "the connection to \(name) was lost"))
        case .reset: end(.reset(closure.code), GRPCStatus(reset: closure.code, from: name))
        case .ended: end(.noStatus, GRPCStatus(.internal, "\(name) ended the stream without a status"))
        }
    }

    // MARK: The end

    private func ended(with answer: WorkerAnswer) {
        let fields = answer.last
        let text = fields["grpc-status"]
        let code = text.flatMap { Int($0) }
        let pushback = fields[MetadataKey.pushback].flatMap { Int64($0) }.flatMap {
            $0 > 0 ? Duration.milliseconds($0) : nil
        }
        upstream.said(generation: answer.generation)
        self.answer = answer
        if code == 0, let problem = answer.problem {
            end(.brokenMessage, GRPCStatus(.internal, "\(upstream.name) answered OK, but \(problem)"))
            return
        }
        let message = fields["grpc-message"]
        let status = GRPCStatus(code: code, text: text, message: message, pushback: pushback, from: upstream.name)
        end(.status(code, pushback: pushback), status, load: fields[MetadataKey.load].flatMap { WorkerLoad($0) })
    }

    private func end(_ ending: OutcomeTable.Ending, _ status: GRPCStatus, load: WorkerLoad? = nil) {
        guard !isOver else { return }
        let verdict = ticket == nil ? OutcomeTable.controlVerdict(ending) : OutcomeTable.verdict(ending)
        if verdict.fault == .elsewhere { upstream.disowned() }
        let request = request
        settle(verdict.outcome, load)
        self.request = nil
        stream?.reset(.cancel)
        request?.attemptEnded(self, verdict, status)
    }

    /// Takes the attempt off the books, once.
    private func settle(_ outcome: AttemptOutcome, _ load: WorkerLoad? = nil) {
        guard !isOver else { return }
        let hadAnswer = answerTime != nil
        state = .over
        upstream.ended(self)
        guard let ticket, let member = upstream.member, let pool = upstream.pool else { return }
        var books = (inFlight: 0, service: 0.0)
        pool.change { scheduler, now in
            let effects = scheduler.finished(ticket, outcome, load: load, at: now)
            if let worker = scheduler.worker(ticket.worker) {
                books = (worker.inFlight, worker.groups[0].times.seconds(batch: 1, idle: false, at: now))
            }
            return effects
        }
        let metrics = member.metrics
        metrics.inFlight.set(Double(books.inFlight))
        metrics.service.set(books.service)
        switch outcome {
        case .answered:
            metrics.ok.increment()
            if let answerTime { metrics.answer.record(answerTime) }
        case .declined: metrics.failed.increment()
        case .misplaced: metrics.misplaced.increment()
        case .refused: metrics.refused.increment()
        case .failed: (hadAnswer ? metrics.failed : metrics.lost).increment()
        case .abandoned, .overtaken: metrics.abandoned.increment()
        case .neverSeen: metrics.unseen.increment()
        }
    }
}
