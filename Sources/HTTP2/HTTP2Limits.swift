/// Every limit of an HTTP/2 endpoint, with its default. Sizes in bytes.
package struct HTTP2Limits: Sendable {
    /// Credit of one stream: more than one observation (460 kB), so that an upload never waits for a round trip.
    package var streamWindow = 1 << 20
    /// Credit of one connection. Returned as bytes come off the socket, so no stream can starve another.
    package var connectionWindow = 16 << 20
    /// Streams that a peer may have open towards us.
    package var maxConcurrentStreams = 128
    /// Largest frame that we accept and, if the peer agrees, send.
    package var maxFrameSize = 256 << 10
    /// Fields of one header block, and their decoded size counted as RFC 9113 does (32 bytes a field on top).
    package var maxHeaderFields = 100
    package var maxHeaderListSize = 60 << 10
    /// Body bytes up to this size are copied beside their frame header, which spares a vector entry.
    package var inlineBodySize = 2 << 10
    /// Bytes that may wait in one socket before the session stops producing more.
    package var socketHighWater = 1 << 20
    /// How long a peer may take to send its preface and SETTINGS.
    package var handshakeTimeout = Duration.seconds(10)
    /// A connection without streams is closed after this long.
    package var idleTimeout = Duration.seconds(3600)
    /// Time between the two GOAWAYs of a drain when the peer does not answer the ping in between.
    package var drainNotice = Duration.seconds(1)
    /// Frames that cost us work and bring nothing: bucket size and refill per second.
    package var nuisanceBurst = 10_000.0
    package var nuisanceRefillPerSecond = 1_000.0

    package init() {}
}
