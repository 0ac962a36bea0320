import GrootAPI
import GrootCore
import HTTP2
import NIOCore

/// One request of a robot: finds a worker, passes bodies both ways, tries again, answers when nobody does.
///
/// The handler of the robot's stream. Confined to the event loop. It reads headers only.
final class ProxyRequest: HTTP2StreamHandler {
    private let stream: HTTP2Stream
    private let pool: UpstreamPool
    private let shared: GatewayShared
    private let startedAt = MonotonicInstant.now()
    private var head: RequestHead?
    private var body = HeldBody()
    private var attempt: Attempt?
    private var attempts = 0
    private var tried: [(worker: Int, generation: Int)] = []
    /// The failure to report when no retry saves the request.
    private var lastFailure: GRPCStatus?
    private var isWaiting = false
    /// Response headers went to the robot.
    private var hasResponded = false
    /// The response is complete, perhaps not yet delivered.
    private var isAnswered = false
    private var deadlineTimer: Scheduled<Void>?
    private var holdTimer: Scheduled<Void>?

    init(stream: HTTP2Stream, pool: UpstreamPool) {
        self.stream = stream
        self.pool = pool
        self.shared = pool.shared
    }

    // MARK: What the robot does

    func received(headers: HTTP2Headers) {
        do throws(RequestHead.Refusal) {
            let head = try RequestHead(
                headers,
                from: stream.peer,
                at: startedAt,
                configuration: shared.configuration
            )
            self.head = head
            guard head.deadline > startedAt else {
                deadlinePassed()
                return
            }
            deadlineTimer = after(head.deadline - startedAt) { $0.deadlinePassed() }
            dispatch()
        } catch {
            shared.metrics.refused.increment()
            switch error {
            case .grpc(let status):
                if status.code == .resourceExhausted { shared.metrics.bodySize.increment() }
                answer(status)
            case .http(let status):
                isAnswered = true
                stream.send(headers: HTTP2Headers([(":status", "\(status)")]), endStream: true)
            }
        }
    }

    func received(body part: ByteBuffer) {
        shared.metrics.bytesIn.increment(by: UInt64(part.readableBytes))
        guard !isAnswered else {
            stream.consumed(part.readableBytes)
            return
        }
        guard body.byteCount + part.readableBytes <= shared.configuration.bodyLimit else {
            stream.consumed(part.readableBytes)
            shared.metrics.bodySize.increment()
            answer(RequestHead.tooLarge(shared.configuration.bodyLimit))
            return
        }
        body.append(part, limit: shared.configuration.heldBodyLimit)
        attempt?.send(part)
    }

    func received(trailers: HTTP2Headers) {
        // gRPC clients send none; nothing depends on them.
    }

    func receivedEnd() {
        body.complete()
        attempt?.finish()
        if body.isDelivered { attempt?.delivered() }
    }

    func bodyLeft(byteCount: Int) {
        shared.metrics.bytesOut.increment(by: UInt64(byteCount))
        attempt?.consumed(byteCount)
    }

    func closed(_ closure: HTTP2StreamClosure) {
        if !isAnswered { shared.metrics.cancelled.increment() }
        isAnswered = true
        stopTimers()
        attempt?.cancel()
        attempt = nil
        body.release()
        shared.metrics.requestTime.record(.now() - startedAt)
    }

    // MARK: What the attempt reports

    func respond(_ headers: HTTP2Headers, from attempt: Attempt, endStream: Bool) {
        var headers = headers.removing([MetadataKey.worker, MetadataKey.attempts])
        for (name, value) in origin(attempt.upstream) { headers.add(name, value) }
        hasResponded = true
        body.release()
        stream.send(headers: headers, endStream: endStream)
        if endStream { isAnswered = true }
    }

    func respond(body: ByteBuffer) {
        stream.send(body: body)
    }

    func respond(trailers: HTTP2Headers) {
        stream.send(trailers: trailers)
    }

    func respondedFully() {
        isAnswered = true
        stream.finish()
    }

    func bodyLeft(_ byteCount: Int, from attempt: Attempt) {
        stream.consumed(body.bytesLeft(byteCount))
        if body.isDelivered { attempt.delivered() }
    }

    /// Whether a worker's UNAVAILABLE is worth a try on another one that is there now.
    func canRepeatElsewhere(after attempt: Attempt) -> Bool {
        guard mayRepeat, case .inference? = head?.route else { return false }
        return pool.pick(head?.checkpoint, tried: tried) != nil
    }

    func workerWentDown(_ attempt: Attempt) {
        guard canRepeatElsewhere(after: attempt) else { return }
        attempt.cancel(.failed)
        let why = GRPCStatus(.unavailable, "\(attempt.upstream.name) stopped answering health checks")
        attemptFailed(attempt, .workerFailed, why)
    }

    func attemptFailed(_ failed: Attempt, _ failure: Attempt.Failure, _ status: GRPCStatus) {
        guard failed === attempt, !isAnswered else { return }
        attempt = nil
        lastFailure = status
        if failed.hasAnswered || failure == .final || !mayRepeat {
            answer(status, from: failed.upstream)
            return
        }
        dispatch()
    }

    /// A worker came up or has a stream free.
    func workerMayBeThere() {
        if isWaiting { dispatch() }
    }

    // MARK: Finding a worker

    private var mayRepeat: Bool {
        attempts <= shared.configuration.retryLimit && !hasResponded && (body.isRepeatable || body.byteCount == 0)
    }

    private func dispatch() {
        guard let head, attempt == nil, !isAnswered else { return }
        let now = MonotonicInstant.now()
        while let upstream = choose(head) {
            stopWaiting()
            let attempt = Attempt(self, upstream: upstream, shared: shared)
            attempts += 1
            if case .worker(let index) = upstream.kind { tried.append((index, upstream.generation)) }
            body.attemptStarted()
            self.attempt = attempt
            let headers = head.headers(attempt: attempts, at: now)
            if attempts > 1 { shared.metrics.retries.increment() }
            if attempt.start(headers, body: body.replay, complete: body.isComplete) {
                if body.isDelivered { attempt.delivered() }
                return
            }
            self.attempt = nil
            guard mayRepeat else { break }
        }
        hold(head, at: now)
    }

    private func choose(_ head: RequestHead) -> Upstream? {
        switch head.route {
        case .control: pool.control.canTake ? pool.control : nil
        case .inference: pool.pick(head.checkpoint, tried: tried)
        case .unknown: nil
        }
    }

    private func hold(_ head: RequestHead, at now: MonotonicInstant) {
        guard !isWaiting else { return }
        let refusal = refusal(head)
        guard refusal.code == .unavailable, mayRepeat, pool.wait(self) else {
            answer(refusal)
            return
        }
        isWaiting = true
        shared.metrics.held.increment()
        holdTimer = after(shared.configuration.holdLimit) { request in
            guard request.isWaiting else { return }
            request.shared.metrics.noWorker.increment()
            request.answer(request.refusal(head))
        }
    }

    private func refusal(_ head: RequestHead) -> GRPCStatus {
        var status =
            head.route == .control
            ? GRPCStatus(.unavailable, "the control plane is not reachable: \(pool.control.downReason)")
            : pool.refusal(head.checkpoint)
        if let lastFailure { status.message += " (last attempt: \(lastFailure.message))" }
        return status
    }

    private func stopWaiting() {
        guard isWaiting else { return }
        isWaiting = false
        pool.stopWaiting(self)
        holdTimer?.cancel()
    }

    // MARK: Ending

    private func deadlinePassed() {
        if isAnswered {
            // Complete, but the robot does not take it.
            stream.reset(.cancel)
            return
        }
        shared.metrics.deadline.increment()
        let waited = isWaiting ? head.map { ": " + refusal($0).message } ?? "" : ""
        answer(GRPCStatus(.deadlineExceeded, "the deadline passed at the gateway\(waited)"), from: attempt?.upstream)
    }

    /// Ends the request with a status of the gateway's own.
    private func answer(_ status: GRPCStatus, from upstream: Upstream? = nil) {
        guard !isAnswered else { return }
        isAnswered = true
        stopWaiting()
        let running = attempt
        attempt = nil
        running?.cancel()
        body.release()
        if !hasResponded {
            hasResponded = true
            stream.send(headers: status.trailersOnly(origin(upstream)), endStream: true)
        } else if stream.queuedBytes > 0 {
            stream.reset(.cancel)
        } else {
            stream.send(trailers: status.trailers)
        }
    }

    private func origin(_ upstream: Upstream?) -> [(String, String)] {
        let count = (MetadataKey.attempts, "\(attempts)")
        guard let upstream, case .worker = upstream.kind else { return [count] }
        return [(MetadataKey.worker, upstream.name), count]
    }

    private func stopTimers() {
        stopWaiting()
        deadlineTimer?.cancel()
        holdTimer?.cancel()
    }

    private func after(_ delay: Duration, _ body: @escaping (ProxyRequest) -> Void) -> Scheduled<Void> {
        pool.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(max(1, delay.nanoseconds))) { [weak self] in
            if let self { body(self) }
        }
    }
}
