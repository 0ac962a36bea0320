import CNGHTTP2

/// C-convention functions that recover the session from the user data, record, and never re-enter the library.
enum NGHTTP2Callbacks {
    static func install(in callbacks: OpaquePointer) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, _, user in
            unsafe NGHTTP2Callbacks.session(user)?.headersBegan()
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _,
            _,
            name,
            nameLength,
            value,
            valueLength,
            _,
            user in
            guard let session = unsafe NGHTTP2Callbacks.session(user) else { return 0 }
            let kept = unsafe session.headerReceived(
                name: UnsafeBufferPointer(start: name, count: nameLength),
                value: UnsafeBufferPointer(start: value, count: valueLength)
            )
            return kept ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
        }
        unsafe nghttp2_session_callbacks_set_unpack_extension_callback(callbacks) { _, _, _, user in
            unsafe NGHTTP2Callbacks.session(user)?.events?.frameReceived(.unknown)
            return NGHTTP2_ERR_CANCEL.rawValue
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
            if let session = unsafe NGHTTP2Callbacks.session(user), let frame = unsafe frame {
                unsafe NGHTTP2Callbacks.received(frame, session)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, _, user in
            if let session = unsafe NGHTTP2Callbacks.session(user), let frame = unsafe frame,
                unsafe frame.pointee.hd.type == UInt8(NGHTTP2_HEADERS.rawValue),
                unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
            {
                session.events?.frameReceived(.refusedRequest)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, count, user in
            if let session = unsafe NGHTTP2Callbacks.session(user), let data = unsafe data, count > 0 {
                let body = unsafe session.body(at: data, count: count)
                session.events?.bodyReceived(stream: stream, body)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, user in
            unsafe NGHTTP2Callbacks.session(user)?.events?
                .streamClosed(stream: stream, code: HTTP2ErrorCode(rawValue: code))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
            if let session = unsafe NGHTTP2Callbacks.session(user), let frame = unsafe frame {
                unsafe NGHTTP2Callbacks.sent(frame, session)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, _, user in
            if let session = unsafe NGHTTP2Callbacks.session(user), let frame = unsafe frame,
                unsafe frame.pointee.hd.type == UInt8(NGHTTP2_HEADERS.rawValue),
                unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
            {
                unsafe session.events?.requestNotSent(stream: frame.pointee.hd.stream_id)
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, frameHeader, count, _, user in
            if let session = unsafe NGHTTP2Callbacks.session(user), let frame = unsafe frame {
                unsafe session.events?.sendBody(
                    stream: frame.pointee.hd.stream_id,
                    frameHeader: UnsafeRawBufferPointer(start: frameHeader, count: 9),
                    byteCount: count
                )
            }
            return 0
        }
        unsafe nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks) {
            _,
            _,
            _,
            sessionWindow,
            streamWindow,
            maxFrameSize,
            _ in
            // The frame size of the peer, bounded so that one stream does not hold the socket for long.
            min(Int(sessionWindow), Int(streamWindow), Int(maxFrameSize), NGHTTP2Callbacks.largestSentFrame)
        }
    }

    /// Equals `HTTP2Limits.maxFrameSize`'s default.
    private static let largestSentFrame = 256 << 10

    static let readBody: nghttp2_data_source_read_callback = { session, stream, _, length, flags, _, user in
        guard let owner = unsafe NGHTTP2Callbacks.session(user), let flags = unsafe flags else {
            return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
        }
        switch owner.events?.nextBody(stream: stream, limit: length) {
        case nil: return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        case .wait: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .bytes(let count, let last, let trailers):
            var bits = NGHTTP2_DATA_FLAG_NO_COPY.rawValue
            if last { bits |= NGHTTP2_DATA_FLAG_EOF.rawValue }
            if let trailers {
                bits |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                let result = unsafe trailers.withFields { fields, count in
                    unsafe nghttp2_submit_trailer(session, stream, fields, count)
                }
                if result != 0 { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
            }
            unsafe flags.pointee = bits
            return count
        }
    }

    private static func session(_ user: UnsafeMutableRawPointer?) -> NGHTTP2Session? {
        guard let user = unsafe user else { return nil }
        return unsafe Unmanaged<NGHTTP2Session>.fromOpaque(user).takeUnretainedValue()
    }

    private static func received(_ frame: UnsafePointer<nghttp2_frame>, _ session: NGHTTP2Session) {
        let header = unsafe frame.pointee.hd
        let stream = header.stream_id
        let isAck = header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0
        let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        let events = session.events
        switch UInt32(header.type) {
        case NGHTTP2_DATA.rawValue:
            if header.length == 0, !endsStream { events?.frameReceived(.emptyData) }
            if endsStream { events?.endReceived(stream: stream) }
        case NGHTTP2_HEADERS.rawValue:
            session.headersEnded(stream: stream)
            if endsStream { events?.endReceived(stream: stream) }
        case NGHTTP2_PRIORITY.rawValue: events?.frameReceived(.priority)
        case NGHTTP2_RST_STREAM.rawValue: events?.frameReceived(.reset(stream: stream))
        case NGHTTP2_SETTINGS.rawValue: events?.frameReceived(.settings(isAck: isAck))
        case NGHTTP2_PING.rawValue: events?.frameReceived(.ping(isAck: isAck))
        case NGHTTP2_WINDOW_UPDATE.rawValue: events?.frameReceived(.windowUpdate)
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = unsafe frame.pointee.goaway
            unsafe events?.frameReceived(
                .goAway(lastStream: goAway.last_stream_id, code: HTTP2ErrorCode(rawValue: goAway.error_code))
            )
        default: break
        }
    }

    private static func sent(_ frame: UnsafePointer<nghttp2_frame>, _ session: NGHTTP2Session) {
        let header = unsafe frame.pointee.hd
        let type = UInt32(header.type)
        let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        if type == NGHTTP2_DATA.rawValue { session.events?.frameSent(.data) }
        if type == NGHTTP2_HEADERS.rawValue { session.events?.frameSent(.headers) }
        if type == NGHTTP2_RST_STREAM.rawValue { session.events?.frameSent(.reset(stream: header.stream_id)) }
        if endsStream, type == NGHTTP2_DATA.rawValue || type == NGHTTP2_HEADERS.rawValue {
            session.events?.frameSent(.endOfStream(header.stream_id))
        }
    }
}
