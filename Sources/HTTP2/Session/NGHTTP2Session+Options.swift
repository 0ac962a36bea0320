import CNGHTTP2

// What the library is told before a session starts.
extension NGHTTP2Session {
    static func make(role: Role, limits: HTTP2Limits) -> OpaquePointer? {
        var callbacks: OpaquePointer?
        var options: OpaquePointer?
        guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0, let callbacks = unsafe callbacks else {
            return nil
        }
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        guard unsafe nghttp2_option_new(&options) == 0, let options = unsafe options else { return nil }
        defer { unsafe nghttp2_option_del(options) }
        unsafe NGHTTP2Callbacks.install(in: callbacks)
        unsafe nghttp2_option_set_no_auto_window_update(options, 1)
        unsafe nghttp2_option_set_no_closed_streams(options, 1)
        // Our own limiter sees resets in both directions and says so; the library's would end connections silently.
        unsafe nghttp2_option_set_stream_reset_rate_limit(options, UInt64.max, UInt64.max)
        // Types that nobody defined are ignored, but counted.
        for type in UInt8(NGHTTP2_ORIGIN.rawValue) + 1...UInt8.max {
            unsafe nghttp2_option_set_user_recv_extension_type(options, type)
        }
        unsafe nghttp2_option_set_max_continuations(options, limits.maxContinuations)
        unsafe nghttp2_option_set_peer_max_concurrent_streams(options, UInt32(limits.maxConcurrentStreams))
        var session: OpaquePointer?
        let result =
            switch role {
            case .client: unsafe nghttp2_session_client_new2(&session, callbacks, nil, options)
            case .server: unsafe nghttp2_session_server_new2(&session, callbacks, nil, options)
            }
        return unsafe result == 0 ? session : nil
    }

    /// Our SETTINGS.
    static func settings(_ role: Role, _ limits: HTTP2Limits) -> [nghttp2_settings_entry] {
        var settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(limits.streamWindow)
            ),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_FRAME_SIZE.rawValue),
                value: UInt32(limits.maxFrameSize)
            ),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(limits.maxHeaderListSize)
            ),
        ]
        switch role {
        case .server:
            settings.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: UInt32(limits.maxConcurrentStreams)
                )
            )
        case .client:
            settings.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0)
            )
        }
        return settings
    }
}
