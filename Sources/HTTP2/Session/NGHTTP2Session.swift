import CNGHTTP2
import NIOCore

/// The only owner of an `nghttp2_session`, which it frees in `deinit`. Confined to one event loop.
///
/// `receive` and `produce` are never called from inside a callback; submitting is allowed anywhere.
@safe
final class NGHTTP2Session {
    enum Role: Sendable {
        case client
        case server
    }

    private let session: OpaquePointer
    private let limits: HTTP2Limits
    // SAFETY: the connection owns the session, outlives it, and is alive in every callback: it called the library. A checked
    // reference costs two atomic operations in each of the five callbacks of a frame.
    private unowned(unsafe) let connection: any SessionEvents
    var events: (any SessionEvents)? { unsafe connection }
    /// What is being fed to the library, so that bodies are slices of it instead of copies.
    private var input = ByteBuffer()
    private var inputBase: UnsafeRawPointer?
    /// The header block that is being decoded; the library interleaves none.
    private var headers = HTTP2Headers()
    private var headersRefused = false
    /// Decoded bytes of a block that is refused.
    private var refusedBytes = 0
    private var isBomb: Bool { refusedBytes > Self.bombFactor * limits.maxHeaderListSize }
    private static let bombFactor = 16

    init(role: Role, limits: HTTP2Limits, events: any SessionEvents) throws(HTTP2Error) {
        self.limits = limits
        unsafe self.connection = events
        guard let session = unsafe Self.make(role: role, limits: limits) else {
            throw HTTP2Error(.session, "nghttp2 cannot create a session: out of memory")
        }
        unsafe self.session = session
        unsafe nghttp2_session_set_user_data(session, Unmanaged.passUnretained(self).toOpaque())
        try start(role: role)
    }

    deinit {
        unsafe nghttp2_session_del(session)
    }

    var wantsToRead: Bool { unsafe nghttp2_session_want_read(session) != 0 }
    var wantsToWrite: Bool { unsafe nghttp2_session_want_write(session) != 0 }
    var remoteMaxConcurrentStreams: Int {
        Int(unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
    }

    /// Feeds what came from the socket.
    func receive(_ buffer: ByteBuffer) throws(HTTP2Error) {
        input = buffer
        defer { input = ByteBuffer() }
        let result = unsafe buffer.withUnsafeReadableBytes { bytes -> Int in
            unsafe inputBase = bytes.baseAddress
            defer { unsafe inputBase = nil }
            return unsafe nghttp2_session_mem_recv(
                session,
                bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                bytes.count
            )
        }
        guard result >= 0 else {
            var error = Self.error(Int32(result), "the peer broke the protocol")
            error.limit =
                switch Int(result) {
                case Int(NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue): .continuationFlood
                // Acknowledgements that the peer does not read.
                case Int(NGHTTP2_ERR_FLOODED.rawValue): .settingsFlood
                case Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) where isBomb: .headerBomb
                default: nil
                }
            throw error
        }
    }

    /// Hands the next serialised piece to `SessionEvents.send(bytes:)`; returns false when there is none. Bodies go
    /// through `SessionEvents.sendBody`, before the piece.
    func produce() throws(HTTP2Error) -> Bool {
        var data: UnsafePointer<UInt8>?
        let count = unsafe nghttp2_session_mem_send(session, &data)
        guard count >= 0 else { throw Self.error(Int32(count), "a frame cannot be produced") }
        guard count > 0, let data = unsafe data else { return false }
        unsafe events?.send(bytes: UnsafeRawBufferPointer(start: data, count: count))
        return true
    }

    /// Opens a stream and returns its id.
    func submitRequest(_ headers: HTTP2Headers, endStream: Bool) throws(HTTP2Error) -> Int32 {
        var provider = unsafe bodyProvider()
        let id = unsafe headers.withFields { fields, count in
            unsafe endStream
                ? nghttp2_submit_request(session, nil, fields, count, nil, nil)
                : nghttp2_submit_request(session, nil, fields, count, &provider, nil)
        }
        guard id > 0 else { throw Self.error(id, "no stream can be opened") }
        return id
    }

    func submitResponse(stream: Int32, _ headers: HTTP2Headers, endStream: Bool) throws(HTTP2Error) {
        var provider = unsafe bodyProvider()
        let result = unsafe headers.withFields { fields, count in
            unsafe endStream
                ? nghttp2_submit_response(session, stream, fields, count, nil)
                : nghttp2_submit_response(session, stream, fields, count, &provider)
        }
        guard result == 0 else { throw Self.error(result, "the response cannot be sent") }
    }

    func submitReset(stream: Int32, _ code: HTTP2ErrorCode) {
        // Fails only when memory is out; the stream then stays until the connection ends.
        _ = unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
    }

    func submitPing() {
        _ = unsafe nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    }

    /// First half of a drain: tells the peer to open no more streams, and refuses none yet.
    func submitShutdownNotice() {
        _ = unsafe nghttp2_submit_shutdown_notice(session)
    }

    /// Second half: names the last stream that will be answered.
    func submitGoAway(_ code: HTTP2ErrorCode, _ debug: StaticString = "") {
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        _ = unsafe nghttp2_submit_goaway(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            last,
            code.rawValue,
            debug.utf8Start,
            debug.utf8CodeUnitCount
        )
    }

    /// GOAWAY, after which the session wants neither to read nor to write.
    func terminate(_ code: HTTP2ErrorCode) {
        _ = unsafe nghttp2_session_terminate_session(session, code.rawValue)
    }

    func resumeData(stream: Int32) {
        // An error means that nothing was deferred, which is harmless.
        _ = unsafe nghttp2_session_resume_data(session, stream)
    }

    func consumeStream(_ stream: Int32, _ byteCount: Int) {
        // Fails for a stream that is gone, whose credit is of no interest any more.
        _ = unsafe nghttp2_session_consume_stream(session, stream, byteCount)
    }

    func consumeConnection(_ byteCount: Int) {
        _ = unsafe nghttp2_session_consume_connection(session, byteCount)
    }

    private static func error(_ code: Int32, _ what: String) -> HTTP2Error {
        HTTP2Error(.session, "\(what): \(unsafe String(cString: nghttp2_strerror(code)))")
    }
}

// What the callbacks recover and record.
extension NGHTTP2Session {
    func headersBegan() {
        headers.removeAll()
        headers.reserve()
        headersRefused = false
        refusedBytes = 0
        events?.headersBegan()
    }

    /// Returns false when a block goes on and on after it was refused: the connection then ends.
    func headerReceived(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) -> Bool {
        let cost = name.count + value.count + 32
        if !headersRefused, headers.count < limits.maxHeaderFields,
            headers.listSize + cost <= limits.maxHeaderListSize
        {
            unsafe headers.add(name, value)
            return true
        }
        headersRefused = true
        refusedBytes += cost
        return !isBomb
    }

    func headersEnded(stream: Int32) {
        guard !headersRefused else {
            headers.removeAll()
            events?.headersRefused(stream: stream)
            return
        }
        events?.headersReceived(stream: stream, headers)
        headers.removeAll()
    }

    /// A slice keeps the whole read buffer alive: small ones, and those of nearly empty buffers, are copied, so that a
    /// peer cannot make us hold 256 kB with one byte.
    private func isWorthSharing(_ count: Int) -> Bool {
        let capacity = input.storageCapacity
        return count * 16 >= capacity && input.readableBytes * 4 >= capacity
    }

    /// A slice of the buffer that is being fed when the bytes lie in it, else a copy.
    func body(at pointer: UnsafePointer<UInt8>, count: Int) -> ByteBuffer {
        if let base = unsafe inputBase, isWorthSharing(count) {
            let offset = unsafe UnsafeRawPointer(pointer) - base
            if offset >= 0, let slice = input.getSlice(at: input.readerIndex + offset, length: count) { return slice }
        }
        return unsafe ByteBuffer(bytes: UnsafeBufferPointer(start: pointer, count: count))
    }
}

extension NGHTTP2Session {
    private func start(role: Role) throws(HTTP2Error) {
        let settings = Self.settings(role, limits)
        var result = unsafe nghttp2_submit_settings(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            settings,
            settings.count
        )
        guard result == 0 else { throw Self.error(result, "the settings are refused") }
        result = unsafe nghttp2_session_set_local_window_size(
            session,
            UInt8(NGHTTP2_FLAG_NONE.rawValue),
            0,
            Int32(limits.connectionWindow)
        )
        guard result == 0 else { throw Self.error(result, "the connection window is refused") }
    }

    private func bodyProvider() -> nghttp2_data_provider {
        unsafe nghttp2_data_provider(source: nghttp2_data_source(fd: 0), read_callback: NGHTTP2Callbacks.readBody)
    }
}
