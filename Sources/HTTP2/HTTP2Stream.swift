import DequeModule
package import NIOCore

/// One stream of an `HTTP2Connection`. Confined to the connection's event loop.
package final class HTTP2Stream {
    package let id: Int32
    /// Nil once the stream or the connection is closed, which breaks the cycle: a weak reference would make every
    /// retain of the connection a slow one.
    private(set) var connection: HTTP2Connection?
    package var handler: (any HTTP2StreamHandler)?

    /// Body that waits for the peer's credit and the socket.
    private var outbound = Deque<ByteBuffer>()
    package private(set) var queuedBytes = 0
    /// Changes with every piece of body received or sent.
    var activity = 0
    var writeWatch = StallWatch()
    var idleWatch = StallWatch()
    private var trailers: HTTP2Headers?
    /// Nothing follows what is queued.
    private var finished = false
    /// The session asked for data when there was none and must be woken.
    private var isDeferred = false
    private(set) var sentHeaders = false
    private(set) var receivedFinalHeaders = false
    /// The peer has ended its side.
    package private(set) var remoteEnded = false
    private(set) var wasReset = false
    package private(set) var isClosed = false

    init(id: Int32, connection: HTTP2Connection) {
        self.id = id
        self.connection = connection
    }

    /// What TLS says of the peer; nil on cleartext connections.
    package var peer: TLSPeer? { connection?.peer }
    /// True after `finish`, `send(trailers:)` or headers with `endStream`.
    package var localFinished: Bool { finished }
    package var eventLoop: (any EventLoop)? { connection?.eventLoop }

    /// Sends response headers (servers; clients send theirs with `HTTP2Connection.open`).
    package func send(headers: HTTP2Headers, endStream: Bool = false) {
        guard !isClosed, !sentHeaders else { return }
        sentHeaders = true
        finished = endStream
        connection?.submitResponse(self, headers, endStream: endStream)
    }

    /// Queues body bytes. Check `queuedBytes` or wait for `bodyLeft` before sending more than a window.
    package func send(body: ByteBuffer) {
        guard !isClosed, !finished, body.readableBytes > 0 else { return }
        guard connection?.queued(body.readableBytes, by: self) == true else {
            reset(.enhanceYourCalm)
            return
        }
        outbound.append(body)
        queuedBytes += body.readableBytes
        resume()
    }

    /// Ends our side after what is queued.
    package func finish() {
        guard !isClosed, !finished else { return }
        finished = true
        resume()
    }

    /// Ends our side with trailers after what is queued.
    package func send(trailers: HTTP2Headers) {
        guard !isClosed, !finished else { return }
        self.trailers = trailers
        finished = true
        resume()
    }

    /// Gives up on the stream; `closed` follows.
    package func reset(_ code: HTTP2ErrorCode) {
        guard !isClosed, !wasReset else { return }
        wasReset = true
        dropOutbound()
        connection?.submitReset(self, code)
    }

    /// Gives the peer credit for body bytes that have been dealt with.
    package func consumed(_ byteCount: Int) {
        guard !isClosed, byteCount > 0 else { return }
        connection?.consumed(self, byteCount)
    }

    private func resume() {
        guard isDeferred else { return }
        isDeferred = false
        connection?.resumeData(self)
    }
}

// What the connection does with its streams.
extension HTTP2Stream {
    /// How much of the body goes into the next frame.
    enum NextBody {
        case wait
        case bytes(Int, last: Bool, trailers: HTTP2Headers?)
    }

    func openedByUs(endStream: Bool) {
        sentHeaders = true
        finished = endStream
    }

    func nextBody(limit: Int) -> NextBody {
        let count = wholeParts(limit)
        let last = finished && count == queuedBytes
        guard count > 0 || last else {
            isDeferred = true
            return .wait
        }
        return .bytes(count, last: last, trailers: last ? trailers : nil)
    }

    /// Bytes at the front of the queue that fit into `limit` without a cut; a part that is larger than that is cut.
    ///
    /// What came in frames of the usual size so leaves in the same frames, each a write of its own and no slices.
    private func wholeParts(_ limit: Int) -> Int {
        guard queuedBytes > limit else { return queuedBytes }
        var count = 0
        for part in outbound {
            guard count + part.readableBytes <= limit else { break }
            count += part.readableBytes
        }
        return count > 0 ? count : limit
    }

    /// Takes bytes from the front of the queue without copying.
    func takeBody(_ byteCount: Int, _ body: (ByteBuffer) -> Void) {
        var left = byteCount
        while left > 0, var first = outbound.popFirst() {
            if first.readableBytes > left, let head = first.readSlice(length: left) {
                body(head)
                outbound.prepend(first)
                left = 0
            } else {
                left -= first.readableBytes
                body(first)
            }
        }
        queuedBytes -= byteCount
        activity &+= 1
        connection?.unqueued(byteCount)
    }

    func receivedHeaders() {
        receivedFinalHeaders = true
    }

    func peerEnded() {
        guard !remoteEnded, !isClosed else { return }
        remoteEnded = true
        handler?.receivedEnd()
    }

    func close(_ closure: HTTP2StreamClosure) {
        guard !isClosed else { return }
        isClosed = true
        dropOutbound()
        let handler = handler
        self.handler = nil
        connection = nil
        handler?.closed(closure)
    }

    private func dropOutbound() {
        outbound.removeAll()
        connection?.unqueued(queuedBytes)
        queuedBytes = 0
    }
}
