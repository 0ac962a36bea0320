import NIOCore

/// What the session library reports while it reads or produces bytes. Called on the connection's event loop, from
/// inside the library: a receiver may submit frames, but never feeds or drains the session.
protocol SessionEvents: AnyObject {
    func headersReceived(stream: Int32, _ headers: HTTP2Headers)
    /// A header block begins.
    func headersBegan()
    /// The block that ends exceeds a limit.
    func headersRefused(stream: Int32)
    /// Body bytes at `offset` of the buffer that is being fed.
    func bodyReceived(stream: Int32, _ body: ByteBuffer)
    func endReceived(stream: Int32)
    func streamClosed(stream: Int32, code: HTTP2ErrorCode)
    /// A request that we submitted will never be sent.
    func requestNotSent(stream: Int32)
    func frameReceived(_ kind: NGHTTP2Session.FrameKind)
    func frameSent(_ kind: NGHTTP2Session.FrameKind)
    func nextBody(stream: Int32, limit: Int) -> HTTP2Stream.NextBody
    /// Serialised frames, valid during the call.
    func send(bytes: UnsafeRawBufferPointer)
    /// A DATA frame: its nine header bytes, then so many bytes from the stream's queue.
    func sendBody(stream: Int32, frameHeader: UnsafeRawBufferPointer, byteCount: Int)
}

extension NGHTTP2Session {
    /// Frames that the connection wants to hear of.
    enum FrameKind: Equatable {
        case settings(isAck: Bool)
        case ping(isAck: Bool)
        case goAway(lastStream: Int32, code: HTTP2ErrorCode)
        case reset(stream: Int32)
        /// A request that the library refuses before its headers are told.
        case refusedRequest
        case emptyData
        case priority
        case windowUpdate
        case data
        case headers
        case unknown
        case endOfStream(Int32)
    }
}
