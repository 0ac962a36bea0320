package import NIOCore

/// What happens on one stream, told to its owner on the connection's event loop.
///
/// Order: headers, body, trailers, `receivedEnd`, `closed`. `closed` comes exactly once and last; nothing may be sent
/// after it. Every method may send on the stream, reset it or open streams on other connections.
package protocol HTTP2StreamHandler: AnyObject {
    /// Request headers on a server, response headers (not 1xx) on a client.
    func received(headers: HTTP2Headers)
    /// Body bytes. The peer gets credit for them only when `HTTP2Stream.consumed(_:)` is called.
    func received(body: ByteBuffer)
    func received(trailers: HTTP2Headers)
    /// The peer will send no more.
    func receivedEnd()
    /// Body bytes of ours went to the socket: the moment to give credit to whoever supplied them.
    func bodyLeft(byteCount: Int)
    /// The stream is gone. `noError` after a complete exchange.
    func closed(_ closure: HTTP2StreamClosure)
}

/// Why a stream ended.
package struct HTTP2StreamClosure: Sendable, Equatable {
    package enum Cause: Sendable, Equatable {
        /// Both sides finished, or we reset it ourselves.
        case ended
        /// The peer sent RST_STREAM.
        case reset
        /// The peer cannot have processed it: above the last stream of its GOAWAY, or never sent.
        case neverProcessed
        /// The connection went away with the stream open.
        case connectionLost
    }

    package var cause: Cause
    package var code: HTTP2ErrorCode

    package init(cause: Cause, code: HTTP2ErrorCode) {
        self.cause = cause
        self.code = code
    }
}
