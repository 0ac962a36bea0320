import GrootCore
package import NIOCore

/// A whole response.
package struct HTTP2Response: Sendable {
    package var status: Int
    package var headers: HTTP2Headers
    package var body: ByteBuffer
    package var trailers: HTTP2Headers
}

extension HTTP2Connection {
    /// Sends one request with a body that is at hand and collects the answer. For health checks and tests; called on
    /// the event loop.
    ///
    /// - Throws (in the future): `HTTP2Error` with `timedOut`, `tooLarge`, `streamReset` or `connectionClosed`.
    package func call(
        headers: HTTP2Headers,
        body: ByteBuffer,
        timeout: Duration,
        maxResponseBytes: Int = 4 << 20
    ) -> EventLoopFuture<HTTP2Response> {
        let promise = eventLoop.makePromise(of: HTTP2Response.self)
        let call = UnaryCall(promise: promise, maxResponseBytes: maxResponseBytes)
        do throws(HTTP2Error) {
            let stream = try open(headers: headers, endStream: body.readableBytes == 0, handler: call)
            call.started(stream, on: eventLoop, timeout: timeout)
            stream.send(body: body)
            stream.finish()
        } catch {
            promise.fail(error)
        }
        return promise.futureResult
    }
}

/// Collects one response. Confined to the connection's event loop.
private final class UnaryCall: HTTP2StreamHandler {
    private var promise: EventLoopPromise<HTTP2Response>?
    private let maxResponseBytes: Int
    private var stream: HTTP2Stream?
    private var timer: Scheduled<Void>?
    private var response = HTTP2Response(
        status: 0,
        headers: HTTP2Headers(),
        body: ByteBuffer(),
        trailers: HTTP2Headers()
    )

    init(promise: EventLoopPromise<HTTP2Response>, maxResponseBytes: Int) {
        self.promise = promise
        self.maxResponseBytes = maxResponseBytes
    }

    func started(_ stream: HTTP2Stream, on eventLoop: any EventLoop, timeout: Duration) {
        self.stream = stream
        timer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(timeout.nanoseconds)) { [weak self] in
            self?.fail(HTTP2Error(.timedOut, "no answer within \(timeout)"))
        }
    }

    func received(headers: HTTP2Headers) {
        response.headers = headers
        response.status = headers[":status"].flatMap { Int($0) } ?? 0
    }

    func received(body: ByteBuffer) {
        guard response.body.readableBytes + body.readableBytes <= maxResponseBytes else {
            fail(HTTP2Error(.tooLarge, "the answer exceeds \(maxResponseBytes) bytes"))
            return
        }
        response.body.writeImmutableBuffer(body)
        stream?.consumed(body.readableBytes)
    }

    func received(trailers: HTTP2Headers) {
        response.trailers = trailers
    }

    func receivedEnd() {
        timer?.cancel()
        promise?.succeed(response)
        promise = nil
        // The rest of a request that is answered already is of no use.
        if let stream, stream.queuedBytes > 0 { stream.reset(.noError) }
    }

    func bodyLeft(byteCount: Int) {}

    func closed(_ closure: HTTP2StreamClosure) {
        let code: HTTP2Error.Code = closure.cause == .connectionLost ? .connectionClosed : .streamReset
        fail(HTTP2Error(code, "the stream ended without an answer (\(closure.cause), \(closure.code))"))
        stream = nil
    }

    private func fail(_ error: HTTP2Error) {
        timer?.cancel()
        promise?.fail(error)
        promise = nil
        stream?.reset(.cancel)
    }
}
