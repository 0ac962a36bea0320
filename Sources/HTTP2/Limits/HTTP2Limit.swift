/// The limiters of an HTTP/2 endpoint, by the name that metrics and logs use. Values and keys are in `HTTP2Limits`.
package enum HTTP2Limit: String, Sendable, CaseIterable {
    /// Too many streams that the peer reset, or made us reset, soon after opening them (CVE-2023-44487, CVE-2025-8671).
    case rapidReset = "rapid-reset"
    case settingsFlood = "settings-flood"
    /// Pings in one burst, or oftener than the ping policy allows on a quiet connection.
    case pingFlood = "ping-flood"
    case priorityFlood = "priority-flood"
    case windowUpdateFlood = "window-update-flood"
    /// More streams at a time than were announced: refused, or the end of a peer that had acknowledged the limit.
    case concurrentStreams = "concurrent-streams"
    /// DATA frames without data that end nothing.
    case emptyFrameFlood = "empty-frame-flood"
    case unknownFrameFlood = "unknown-frame-flood"
    case continuationFlood = "continuation-flood"
    /// A header list with too many fields or too large when decoded, cookie crumbs counted: the request is refused.
    case headerList = "header-list"
    /// A header block that goes on after it was refused: the connection ends.
    case headerBomb = "header-bomb"
    /// A header block that was begun and not ended.
    case headerTimeout = "header-timeout"
    case handshakeTimeout = "handshake-timeout"
    case streamIdle = "stream-idle"
    /// The peer does not take what a stream or the connection has for it: slow reader, zero window.
    case writeStalled = "write-stalled"
    case queuedBytesOfConnection = "queued-bytes-connection"
    case queuedBytesInAll = "queued-bytes-total"
    case connectionIdle = "connection-idle"
    case connectionAge = "connection-age"
    case connections
}
