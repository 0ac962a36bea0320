/// Every limit of an HTTP/2 endpoint, with its default. Sizes in bytes. The key of each is in `HTTP2LimitKey`.
package struct HTTP2Limits: Sendable {
    /// A bucket of tokens: so many at once, so many a second.
    package struct Rate: Sendable, Equatable {
        package var burst: Double
        package var perSecond: Double

        package init(burst: Double, perSecond: Double) {
            self.burst = burst
            self.perSecond = perSecond
        }
    }

    // Flow control and frames.

    /// Credit of one stream: more than one observation (460 kB), so that an upload never waits for a round trip.
    package var streamWindow = 1 << 20
    /// Credit of one connection. Returned as bytes come off the socket, so no stream can starve another.
    package var connectionWindow = 16 << 20
    /// Streams that a peer may have open towards us.
    package var maxConcurrentStreams = 128
    /// Largest frame that we accept and, if the peer agrees, send.
    package var maxFrameSize = 256 << 10

    // Headers.

    /// Fields of one header block, and their decoded size counted as RFC 9113 does (32 bytes a field on top).
    package var maxHeaderFields = 100
    package var maxHeaderListSize = 60 << 10
    /// CONTINUATION frames of one header block.
    package var maxContinuations = 8
    /// From the first byte of a header block to its last.
    package var headerTimeout = Duration.seconds(10)

    // Memory.

    /// Body bytes up to this size are copied beside their frame header, which spares a vector entry.
    package var inlineBodySize = 2 << 10
    /// Bytes that may wait in one socket before the session stops producing more.
    package var socketHighWater = 1 << 20
    /// Response bytes that may wait for the credit of one peer, and of all peers of one listener.
    package var maxQueuedBytes = 16 << 20
    package var maxQueuedBytesInAll = 256 << 20
    /// Connections of one listener.
    package var maxConnections = 10_000

    // Times.

    /// How long a peer may take for its TLS handshake, and then to send its preface and SETTINGS.
    package var handshakeTimeout = Duration.seconds(10)
    /// A connection without streams is closed after this long.
    package var idleTimeout = Duration.seconds(3600)
    /// A stream on which nothing moves is reset after this long.
    package var streamIdleTimeout = Duration.seconds(300)
    /// A stream, or a connection, whose peer takes nothing of what waits for it, ends after this long.
    package var writeTimeout = Duration.seconds(30)
    /// A connection is drained at this age (10 % more or less, so that they do not all come back at once), and closed
    /// when its streams are not done within the grace. Zero: never.
    package var maxConnectionAge = Duration.zero
    package var connectionAgeGrace = Duration.seconds(300)
    /// Time between the two GOAWAYs of a drain when the peer does not answer the ping in between.
    package var drainNotice = Duration.seconds(1)
    /// How long a closed connection still takes bytes that are under way, so that its last words arrive.
    package var lingerTimeout = Duration.seconds(1)

    // Frames that cost us work and bring nothing.

    package var resets = Rate(burst: 500, perSecond: 100)
    package var settings = Rate(burst: 100, perSecond: 10)
    package var pings = Rate(burst: 500, perSecond: 50)
    package var priorities = Rate(burst: 1000, perSecond: 100)
    /// Each DATA frame that we send entitles the peer to four more.
    package var windowUpdates = Rate(burst: 5000, perSecond: 1000)
    package var emptyFrames = Rate(burst: 100, perSecond: 10)
    package var unknownFrames = Rate(burst: 1000, perSecond: 100)
    /// Servers: pings on a connection to which we have sent nothing since the last one must be this far apart; so many
    /// may come earlier before the connection ends (gRPC's rule). Zero: no rule.
    package var pingInterval = Duration.seconds(10)
    package var pingStrikes = 2

    package init() {}
}
