import GrootCore
package import NIOCore

/// One HTTP/2 connection, client or server, as a channel handler. Confined to its channel's event loop.
///
/// Bytes from the socket go to the session at once; what the session has to say goes out once per loop turn, and only
/// while the socket takes it.
package final class HTTP2Connection: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// What the owner of a connection hears, on its event loop.
    package struct Observer {
        /// Servers: who handles a new stream. Nil refuses it.
        package var streamOpened: ((HTTP2Stream) -> (any HTTP2StreamHandler)?)?
        /// TLS: the handshake is done, or why it failed.
        package var secured: ((Result<TLSPeer, HTTP2Error>) -> Void)?
        /// Servers: asked once the peer is known and before its first stream, with its address without the port. A reason
        /// refuses the connection (ENHANCE_YOUR_CALM).
        package var admits: ((TLSPeer?, String) -> String?)?
        /// The peer's SETTINGS arrived: it speaks HTTP/2.
        package var ready: (() -> Void)?
        /// The peer takes no more streams; the streams it has not seen are closed as `neverProcessed`.
        package var goAway: (() -> Void)?
        /// A limit was hit; the text says by whom and what was done.
        package var limitHit: ((HTTP2Limit, String) -> Void)?
        /// The socket is gone and all streams are closed. Comes once. The text says why.
        package var closed: ((String) -> Void)?

        package init() {}
    }

    /// What a connection waits for; one timer each.
    enum TimerName {
        case handshake
        case idle
        case age
        case watch
        case drain
    }

    package let eventLoop: any EventLoop
    package var observer: Observer
    package var isReady: Bool { hasSettings }
    var hasSettings = false
    /// The peer sent GOAWAY, or we drain.
    package internal(set) var isDraining = false
    package internal(set) var isClosed = false
    /// What TLS says of the peer; nil on cleartext connections.
    package private(set) var peer: TLSPeer?

    let role: NGHTTP2Session.Role
    let limits: HTTP2Limits
    var session: NGHTTP2Session?
    var context: ChannelHandlerContext?
    var streams: [Int32: HTTP2Stream] = [:]
    var output = OutboundFrames()
    /// Nil on connections over TLS, and on channels without a socket.
    var socket: DirectSocket?
    var isReading = false
    var isFlushing = false
    var flushScheduled = false
    var floods: FloodMonitor
    var pings: PingPolicy
    /// A timer looks for what stands still, as long as there is anything that could.
    var watchScheduled = false
    var writeWatch = StallWatch()
    /// Bytes handed to the socket or the channel so far.
    var writtenBytes = 0
    /// When the header block began that has not ended yet.
    var headersBeganAt: MonotonicInstant?
    /// Body bytes that wait in the streams' queues.
    var queuedBytes = 0
    /// Servers: what all connections of the listener may hold together.
    let quota: ByteQuota?
    var lastStreamOfPeer = Int32.max
    var resetByPeer: Set<Int32> = []
    /// Streams whose header list was refused and whose requests have not ended.
    var refusedStreams: Set<Int32> = []
    var closeReason = "the peer closed the connection"
    var drainFinished: (() -> Void)?
    var timers: [TimerName: Scheduled<Void>] = [:]
    var idleSince: MonotonicInstant?
    /// We have said our last; the socket ends with this turn.
    var closesAfterFlush = false

    init(
        role: NGHTTP2Session.Role,
        limits: HTTP2Limits,
        eventLoop: any EventLoop,
        observer: Observer,
        quota: ByteQuota? = nil
    ) {
        self.quota = quota
        self.role = role
        self.limits = limits
        self.eventLoop = eventLoop
        self.observer = observer
        self.floods = FloodMonitor(limits)
        self.pings = PingPolicy(interval: limits.pingInterval, strikesAllowed: limits.pingStrikes)
    }

    package var openStreams: Int { streams.count }
    /// Streams that the peer takes at a time.
    package var streamLimit: Int { session?.remoteMaxConcurrentStreams ?? 0 }
    package var canOpenStream: Bool {
        !isClosed && !isDraining && streams.count < (session?.remoteMaxConcurrentStreams ?? 0)
    }

    /// Opens a stream (clients) and sends its headers.
    package func open(
        headers: HTTP2Headers,
        endStream: Bool,
        handler: any HTTP2StreamHandler
    ) throws(HTTP2Error) -> HTTP2Stream {
        guard let session, !isClosed, !isDraining else {
            throw HTTP2Error(.connectionClosed, "the connection takes no new streams")
        }
        let stream = HTTP2Stream(id: try session.submitRequest(headers, endStream: endStream), connection: self)
        stream.openedByUs(endStream: endStream)
        stream.handler = handler
        streams[stream.id] = stream
        scheduleFlush()
        return stream
    }

    /// Stops taking streams, lets those that are open finish, then closes the socket: two GOAWAYs, about a round trip
    /// apart (servers), so that no request already under way is refused.
    package func drain() {
        guard !isClosed, !isDraining else { return }
        isDraining = true
        closeReason = "drained"
        session?.submitShutdownNotice()
        session?.submitPing()
        drainFinished = { [unowned self] in
            drainFinished = nil
            session?.submitGoAway(.noError)
            scheduleFlush()
        }
        after(limits.drainNotice, .drain) { $0.drainFinished?() }
        scheduleFlush()
    }

    /// Tells the peer why and closes the socket; open streams are lost.
    package func close(_ code: HTTP2ErrorCode, reason: String) {
        guard !isClosed else { return }
        closeReason = reason
        guard let context else {
            finish()
            return
        }
        session?.terminate(code)
        // Called from inside the library: it must not be entered again, so the rest comes with the turn's flush.
        guard !isReading, !isFlushing else {
            closesAfterFlush = true
            scheduleFlush()
            return
        }
        flushNow()
        end(context)
    }

    /// Closes the socket without a word, as a crash would.
    package func abort() {
        closeReason = "aborted"
        context?.close(promise: nil)
    }

    /// The socket could not be opened.
    func connectFailed(_ reason: String) {
        closeReason = reason
        finish()
    }

    // MARK: ChannelInboundHandler

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if isClosed {
            context.close(promise: nil)
            return
        }
        if context.channel.isActive { start() }
    }

    package func channelActive(context: ChannelHandlerContext) {
        start()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let session, !isClosed, !closesAfterFlush else { return }
        isReading = true
        do throws(HTTP2Error) {
            try session.receive(unwrapInboundIn(data))
        } catch {
            isReading = false
            fail(error)
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flushNow()
        if headersBeganAt != nil { watch() }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { scheduleFlush() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let peer = event as? TLSPeer {
            self.peer = peer
            observer.secured?(.success(peer))
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        closeReason = "\(error)"
        if peer == nil, let error = error as? HTTP2Error, error.code == .tls { observer.secured?(.failure(error)) }
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        finish()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        finish()
    }
}
