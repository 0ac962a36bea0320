import GrootAPI
import GrootCore
import HTTP2
import NIOCore

/// One request of a robot: asks the scheduler for a worker, passes bodies both ways, tries again, answers when nobody
/// does.
///
/// The handler of the robot's stream. Confined to the event loop. It reads headers only. Finding a worker is in
/// `ProxyRequest+Dispatch.swift`, another one after a failure in `ProxyRequest+Repeating.swift`.
final class ProxyRequest: HTTP2StreamHandler {
    let stream: HTTP2Stream
    let pool: UpstreamPool
    let shared: GatewayShared
    let startedAt = MonotonicInstant.now()
    var head: RequestHead?
    /// Nil for control-plane calls.
    var scheduled: SchedulerRequest?
    var body = HeldBody()
    var attempt: Attempt?
    /// A second attempt for a robot that is about to run dry; the first to answer wins.
    var hedge: Attempt?
    var attempts = 0
    /// The failure to report when no retry saves the request.
    var lastFailure: GRPCStatus?
    var isWaiting = false
    var waitedSince: MonotonicInstant?
    var waited = Duration.zero
    /// Response headers went to the robot.
    var hasResponded = false
    /// The response is complete, perhaps not yet delivered.
    var isAnswered = false
    var holdTimer: Scheduled<Void>?
    var hedgeTimer: Scheduled<Void>?
    /// Its place among the loop's open requests; nil when it has none.
    var openIndex: Int?
    var robotClass: GatewayMetrics.RobotClass?
    var finalStatus: (code: Int, message: String?)?
    var answeredBy: String?
    var bytesOut = 0

    init(stream: HTTP2Stream, pool: UpstreamPool) {
        self.stream = stream
        self.pool = pool
        self.shared = pool.shared
    }

    // MARK: What the robot does

    func received(headers: HTTP2Headers) {
        if let order = shared.orders?.answer(headers, from: stream.peer) {
            respond(to: order)
            return
        }
        do throws(RequestHead.Refusal) {
            let head = try RequestHead(
                headers,
                from: stream.peer,
                at: startedAt,
                configuration: pool.configuration
            )
            self.head = head
            guard head.deadline > startedAt else {
                deadlinePassed()
                return
            }
            pool.opened(self, until: head.deadline)
            if head.route == .control {
                dispatchToControl()
            } else {
                count(head)
                dispatch(head)
            }
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
        guard body.byteCount + part.readableBytes <= pool.configuration.bodyLimit else {
            refuseOversized()
            stream.consumed(part.readableBytes)
            return
        }
        hold(part)
        guard !isAnswered else { return }
        attempt?.send(part)
        hedge?.send(part)
    }

    func received(trailers: HTTP2Headers) {
        // gRPC clients send none; nothing depends on them.
    }

    func receivedEnd() {
        body.complete()
        attempt?.finish()
        hedge?.finish()
        if body.isDelivered { attempt?.delivered() }
    }

    func bodyLeft(byteCount: Int) {
        shared.metrics.bytesOut.increment(by: UInt64(byteCount))
        bytesOut += byteCount
        attempt?.consumed(byteCount)
    }

    func closed(_ closure: HTTP2StreamClosure) {
        if !isAnswered { shared.metrics.cancelled.increment() }
        isAnswered = true
        stopTimers()
        attempt?.cancel()
        hedge?.cancel()
        attempt = nil
        hedge = nil
        releaseBody()
        let took = MonotonicInstant.now() - startedAt
        shared.metrics.requestTime.record(took)
        robotClass?.time.record(took)
        log(took, closure)
    }

    // MARK: What the attempts report

    func respond(_ headers: HTTP2Headers, from winner: Attempt, endStream: Bool) {
        if winner === hedge { shared.metrics.hedgesWon.increment() }
        let loser = winner === hedge ? attempt : hedge
        attempt = winner
        hedge = nil
        loser?.cancel()
        hedgeTimer?.cancel()
        var headers = headers.removing([MetadataKey.worker, MetadataKey.attempts])
        for (name, value) in origin(winner.upstream) { headers.add(name, value) }
        answeredBy = winner.upstream.name
        hasResponded = true
        releaseBody()
        if endStream {
            addHint(&headers)
            finalStatus = (headers["grpc-status"].flatMap { Int($0) } ?? 2, headers["grpc-message"])
            isAnswered = true
        }
        stream.send(headers: headers, endStream: endStream)
    }

    func respond(body: ByteBuffer) {
        stream.send(body: body)
    }

    func respond(trailers: HTTP2Headers) {
        var trailers = trailers
        addHint(&trailers)
        finalStatus = (trailers["grpc-status"].flatMap { Int($0) } ?? 2, trailers["grpc-message"])
        stream.send(trailers: trailers)
    }

    func respondedFully() {
        isAnswered = true
        stream.finish()
    }

    func bodyLeft(_ byteCount: Int, from sender: Attempt) {
        guard sender === attempt else {
            // A hedge starts when the whole body is there; the robot has its credit.
            sender.delivered()
            return
        }
        stream.consumed(body.bytesLeft(byteCount))
        if body.isDelivered { sender.delivered() }
    }

    // MARK: Ending

    /// Called by the pool, perhaps again while the robot does not take its answer.
    func deadlinePassed() {
        if isAnswered {
            // Complete, but the robot does not take it.
            stream.reset(.cancel)
            return
        }
        shared.metrics.deadline.increment()
        let waited = isWaiting ? head.map { ": " + waitingReason($0) } ?? "" : ""
        answer(GRPCStatus(.deadlineExceeded, "the deadline passed at the gateway\(waited)"), from: attempt?.upstream)
    }

    /// Ends the request with a status of the gateway's own.
    func answer(_ status: GRPCStatus, from upstream: Upstream? = nil, hint: Duration? = nil) {
        guard !isAnswered else { return }
        isAnswered = true
        finalStatus = (status.code.rawValue, status.message)
        stopTimers()
        let running = [attempt, hedge]
        attempt = nil
        hedge = nil
        for attempt in running { attempt?.cancel() }
        releaseBody()
        if !hasResponded {
            hasResponded = true
            var fields = origin(upstream)
            if let hint { fields.append((MetadataKey.nextObservationAfter, "\(Int64(hint.milliseconds))")) }
            stream.send(headers: status.trailersOnly(fields), endStream: true)
        } else if stream.queuedBytes > 0 {
            stream.reset(.cancel)
        } else {
            stream.send(trailers: status.trailers)
        }
    }

    /// An operator's order is plain HTTP, for curl.
    private func respond(to order: GatewayOrders.Answer) {
        isAnswered = true
        finalStatus = (order.status == 200 || order.status == 202 ? 0 : GRPCStatus.Code.permissionDenied.rawValue, nil)
        stream.send(
            headers: HTTP2Headers([(":status", "\(order.status)"), ("content-type", "text/plain; charset=utf-8")]),
            endStream: false
        )
        stream.send(body: ByteBuffer(string: order.text))
        stream.finish()
    }

    private func refuseOversized() {
        shared.metrics.bodySize.increment()
        answer(RequestHead.tooLarge(pool.configuration.bodyLimit))
    }

    /// Under overload the robot is told when a newer observation is welcome.
    private func addHint(_ fields: inout HTTP2Headers) {
        guard scheduled?.isWork == true, shared.metrics.waiting.value > 0 else { return }
        let now = MonotonicInstant.now()
        guard let hint = shared.withScheduler({ $0.nextObservationAfter(at: now) }) else { return }
        fields.add(MetadataKey.nextObservationAfter, "\(max(1, Int64(hint.milliseconds)))")
    }

    private func origin(_ upstream: Upstream?) -> [(String, String)] {
        let count = (MetadataKey.attempts, "\(attempts)")
        guard let upstream, upstream.member != nil else { return [count] }
        return [(MetadataKey.worker, upstream.name), count]
    }

    private func stopTimers() {
        stopWaiting()
        pool.closed(self)
        holdTimer?.cancel()
        hedgeTimer?.cancel()
    }

    func after(_ delay: Duration, _ body: @escaping (ProxyRequest) -> Void) -> Scheduled<Void> {
        pool.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(max(1, delay.nanoseconds))) { [weak self] in
            if let self { body(self) }
        }
    }
}
