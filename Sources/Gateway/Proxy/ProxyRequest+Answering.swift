import GrootAPI
import GrootCore
import HTTP2
import NIOCore

/// What goes to the robot: a worker's answer, or the gateway's own.
extension ProxyRequest {
    /// The whole answer of a worker.
    func deliver(_ number: Int) {
        guard let attempt = attempt(number), let answer = attempt.answer else { return }
        releaseBody()
        answeredBy = attempt.upstream.name
        note(answer.last)
        guard let trailers = answer.trailers else {
            stream.send(headers: named(answer.headers, attempt.upstream, isLast: true), endStream: true)
            return
        }
        stream.send(headers: named(answer.headers, attempt.upstream, isLast: false), endStream: false)
        for part in answer.body { stream.send(body: part) }
        stream.send(trailers: withHint(clipped(trailers)))
    }

    /// The begin of an answer whose rest is passed on as it comes.
    func passOn(_ number: Int) {
        guard let attempt = attempt(number), let answer = attempt.answer else { return }
        first = attempt
        second = nil
        releaseBody()
        answeredBy = attempt.upstream.name
        stream.send(headers: named(answer.headers, attempt.upstream, isLast: false), endStream: false)
        for part in answer.body { stream.send(body: part) }
    }

    func respond(body: ByteBuffer) {
        stream.send(body: body)
    }

    func respond(trailers: HTTP2Headers) {
        note(trailers)
        stream.send(trailers: withHint(clipped(trailers)))
    }

    /// The gateway's own answer.
    func answer(_ status: GRPCStatus, hint: Duration?) {
        finalStatus = (status.code.rawValue, status.message)
        releaseBody()
        let last = second ?? first
        var fields = origin(last?.upstream)
        if let hint { fields.append((MetadataKey.nextObservationAfter, "\(Int64(hint.milliseconds))")) }
        stream.send(headers: status.trailersOnly(fields), endStream: true)
    }

    /// The end of an answer that began and does not come to its own.
    func cutOff(_ status: GRPCStatus) {
        finalStatus = (status.code.rawValue, status.message)
        if stream.queuedBytes > 0 { stream.reset(.cancel) } else { stream.send(trailers: status.trailers) }
    }

    /// Before there is a machine: the head itself is wrong.
    func refuse(_ refusal: RequestHead.Refusal) {
        shared.metrics.refused.increment()
        switch refusal {
        case .grpc(let status):
            if status.code == .resourceExhausted { shared.metrics.hit(.bodySize) }
            answer(status, hint: nil)
        case .encoding(let status):
            finalStatus = (status.code.rawValue, status.message)
            let fields = status.trailersOnly([("grpc-accept-encoding", "identity")])
            stream.send(headers: fields, endStream: true)
        case .headers(let status):
            shared.hit(.workerHeaders, connection.participant?.name ?? "somebody")
            finalStatus = (status.code.rawValue, status.message)
            stream.send(headers: status.trailersOnly(httpStatus: 431), endStream: true)
        case .http(let status):
            stream.send(headers: HTTP2Headers([(":status", "\(status)")]), endStream: true)
        }
    }

    /// An operator's order is plain HTTP, for curl.
    func respond(to order: GatewayOrders.Answer) {
        finalStatus = (order.status == 200 || order.status == 202 ? 0 : GRPCStatus.Code.permissionDenied.rawValue, nil)
        stream.send(
            headers: HTTP2Headers([(":status", "\(order.status)"), ("content-type", "text/plain; charset=utf-8")]),
            endStream: false
        )
        stream.send(body: ByteBuffer(string: order.text))
        stream.finish()
    }

    private func note(_ last: HTTP2Headers) {
        finalStatus = (last["grpc-status"].flatMap { Int($0) } ?? 2, last["grpc-message"])
    }

    private func named(_ headers: HTTP2Headers, _ upstream: Upstream, isLast: Bool) -> HTTP2Headers {
        var headers = headers.removing([MetadataKey.worker, MetadataKey.attempts])
        for (name, value) in origin(upstream) { headers.add(name, value) }
        return isLast ? withHint(clipped(headers)) : headers
    }

    /// A text for people that is too long would cost the client the status.
    private func clipped(_ fields: HTTP2Headers) -> HTTP2Headers {
        guard let message = fields["grpc-message"] else { return fields }
        let passedOn = GRPCMessage.passedOn(message)
        guard passedOn != message else { return fields }
        var clipped = fields.removing(["grpc-message"])
        clipped.add("grpc-message", passedOn)
        return clipped
    }

    /// Under overload the robot is told when a newer observation is welcome.
    private func withHint(_ fields: HTTP2Headers) -> HTTP2Headers {
        guard scheduled?.isWork == true, shared.metrics.waiting.value > 0 else { return fields }
        let now = MonotonicInstant.now()
        guard let hint = shared.withScheduler({ $0.nextObservationAfter(at: now) }) else { return fields }
        var fields = fields
        fields.add(MetadataKey.nextObservationAfter, "\(max(1, Int64(hint.milliseconds)))")
        return fields
    }

    private func origin(_ upstream: Upstream?) -> [(String, String)] {
        let count = (MetadataKey.attempts, "\(machine?.record.count ?? 0)")
        guard let upstream, upstream.member != nil else { return [count] }
        return [(MetadataKey.worker, upstream.name), count]
    }
}
