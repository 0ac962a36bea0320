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
        /// The peer's SETTINGS arrived: it speaks HTTP/2.
        package var ready: (() -> Void)?
        /// The peer takes no more streams; the streams it has not seen are closed as `neverProcessed`.
        package var goAway: (() -> Void)?
        /// The socket is gone and all streams are closed. Comes once. The text says why.
        package var closed: ((String) -> Void)?

        package init() {}
    }

    package let eventLoop: any EventLoop
    package var observer: Observer
    package private(set) var isReady = false
    /// The peer sent GOAWAY, or we drain.
    package private(set) var isDraining = false
    package private(set) var isClosed = false
    /// What TLS says of the peer; nil on cleartext connections.
    package private(set) var peer: TLSPeer?

    let role: NGHTTP2Session.Role
    let limits: HTTP2Limits
    private var session: NGHTTP2Session?
    private var context: ChannelHandlerContext?
    private var streams: [Int32: HTTP2Stream] = [:]
    private var output = ByteBuffer()
    private var isReading = false
    private var isFlushing = false
    private var flushScheduled = false
    private var nuisance: NuisanceMonitor
    private var lastStreamOfPeer = Int32.max
    private var resetByPeer: Set<Int32> = []
    private var closeReason = "the peer closed the connection"
    private var drainFinished: (() -> Void)?
    private var timers: [Scheduled<Void>] = []
    private var idleSince: MonotonicInstant?

    init(role: NGHTTP2Session.Role, limits: HTTP2Limits, eventLoop: any EventLoop, observer: Observer) {
        self.role = role
        self.limits = limits
        self.eventLoop = eventLoop
        self.observer = observer
        self.nuisance = NuisanceMonitor(burst: limits.nuisanceBurst, refillPerSecond: limits.nuisanceRefillPerSecond)
    }

    package var openStreams: Int { streams.count }
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
        after(limits.drainNotice) { $0.drainFinished?() }
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
        if isReading || isFlushing {
            scheduleFlush()
        } else {
            flushNow()
        }
        context.close(promise: nil)
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
        guard let session, !isClosed else { return }
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

// What streams ask of their connection.
extension HTTP2Connection {
    func submitResponse(_ stream: HTTP2Stream, _ headers: HTTP2Headers, endStream: Bool) {
        do throws(HTTP2Error) {
            try session?.submitResponse(stream: stream.id, headers, endStream: endStream)
        } catch {
            session?.submitReset(stream: stream.id, .internalError)
        }
        scheduleFlush()
    }

    func submitReset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        session?.submitReset(stream: stream.id, code)
        scheduleFlush()
    }

    func consumed(_ stream: HTTP2Stream, _ byteCount: Int) {
        session?.consumeStream(stream.id, byteCount)
        scheduleFlush()
    }

    func resumeData(_ stream: HTTP2Stream) {
        session?.resumeData(stream: stream.id)
        scheduleFlush()
    }
}

extension HTTP2Connection: SessionEvents {
    func headersReceived(stream id: Int32, _ headers: HTTP2Headers) {
        if let stream = streams[id] {
            if role == .client, !stream.receivedFinalHeaders {
                // 1xx responses announce the real one.
                if let status = headers[":status"], status.hasPrefix("1") { return }
                stream.receivedHeaders()
                stream.handler?.received(headers: headers)
            } else {
                stream.handler?.received(trailers: headers)
            }
            return
        }
        guard role == .server else { return }
        let stream = HTTP2Stream(id: id, connection: self)
        stream.receivedHeaders()
        guard let handler = observer.streamOpened?(stream) else {
            session?.submitReset(stream: id, .refusedStream)
            return
        }
        streams[id] = stream
        stream.handler = handler
        handler.received(headers: headers)
    }

    func headersRefused(stream: Int32) {
        session?.submitReset(stream: stream, .enhanceYourCalm)
        observe(.provokedReset)
    }

    func bodyReceived(stream id: Int32, _ body: ByteBuffer) {
        session?.consumeConnection(body.readableBytes)
        streams[id]?.handler?.received(body: body)
    }

    func endReceived(stream id: Int32) {
        streams[id]?.peerEnded()
    }

    func streamClosed(stream id: Int32, code: HTTP2ErrorCode) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        let cause: HTTP2StreamClosure.Cause =
            if resetByPeer.remove(id) != nil {
                code == .refusedStream ? .neverProcessed : .reset
            } else if role == .client, id > lastStreamOfPeer {
                .neverProcessed
            } else if code != .noError, !stream.wasReset {
                .reset
            } else {
                .ended
            }
        stream.close(HTTP2StreamClosure(cause: cause, code: code))
        if streams.isEmpty { idleSince = .now() }
    }

    func requestNotSent(stream id: Int32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        stream.close(HTTP2StreamClosure(cause: .neverProcessed, code: .refusedStream))
    }

    func frameReceived(_ kind: NGHTTP2Session.FrameKind) {
        switch kind {
        case .settings(let isAck):
            if !isAck {
                observe(.settings)
                if !isReady {
                    isReady = true
                    observer.ready?()
                }
            }
        case .ping(let isAck):
            if isAck { drainFinished?() } else { observe(.ping) }
        case .goAway(let last, let code):
            lastStreamOfPeer = last
            isDraining = true
            if code != .noError { closeReason = "the peer sent GOAWAY with \(code)" }
            observer.goAway?()
        case .reset(let stream):
            if streams[stream] != nil { resetByPeer.insert(stream) }
            observe(.reset)
        case .emptyData: observe(.emptyData)
        case .priority: observe(.priority)
        case .windowUpdate: observe(.windowUpdate)
        case .data, .endOfStream: break
        }
    }

    func frameSent(_ kind: NGHTTP2Session.FrameKind) {
        switch kind {
        case .data: nuisance.sentData()
        case .reset(let id):
            // The library reset it for the peer's fault.
            if let stream = streams[id], !stream.wasReset { observe(.provokedReset) }
        case .endOfStream(let id):
            // The answer is complete before the question: tell the peer to stop sending.
            if role == .server, let stream = streams[id], !stream.remoteEnded {
                session?.submitReset(stream: id, .noError)
            }
        default: break
        }
    }

    func nextBody(stream id: Int32, limit: Int) -> HTTP2Stream.NextBody {
        streams[id]?.nextBody(limit: limit) ?? .wait
    }

    func send(bytes: UnsafeRawBufferPointer) {
        unsafe output.writeBytes(bytes)
    }

    func sendBody(stream id: Int32, frameHeader: UnsafeRawBufferPointer, byteCount: Int) {
        unsafe output.writeBytes(frameHeader)
        guard let stream = streams[id] else { return }
        stream.takeBody(byteCount) { body in
            if body.readableBytes <= limits.inlineBodySize {
                output.writeImmutableBuffer(body)
            } else {
                writeOutput()
                write(body)
            }
        }
        stream.handler?.bodyLeft(byteCount: byteCount)
    }
}

// The shell: reading, flushing, timers, the end.
extension HTTP2Connection {
    private func start() {
        guard session == nil, !isClosed else { return }
        do throws(HTTP2Error) {
            session = try NGHTTP2Session(role: role, limits: limits, events: self)
        } catch {
            fail(error)
            return
        }
        idleSince = .now()
        after(limits.handshakeTimeout) { connection in
            if !connection.isReady { connection.close(.settingsTimeout, reason: "no HTTP/2 SETTINGS arrived in time") }
        }
        scheduleIdleCheck(in: limits.idleTimeout)
        scheduleFlush()
    }

    private func scheduleIdleCheck(in delay: Duration) {
        after(delay) { connection in
            let now = MonotonicInstant.now()
            let quiet = connection.streams.isEmpty ? connection.idleSince.map { now - $0 } ?? .zero : .zero
            if quiet >= connection.limits.idleTimeout {
                connection.close(.noError, reason: "idle for too long")
            } else {
                connection.scheduleIdleCheck(in: connection.limits.idleTimeout - quiet)
            }
        }
    }

    private func after(_ delay: Duration, _ body: @escaping (HTTP2Connection) -> Void) {
        let timer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [weak self] in
            if let self, !isClosed { body(self) }
        }
        timers.append(timer)
        if timers.count > 8 { timers.removeFirst(timers.count - 8) }
    }

    private func observe(_ kind: NuisanceMonitor.Nuisance) {
        guard !nuisance.observed(kind, at: .now()) else { return }
        closeReason = "the peer floods us with \(kind) frames"
        session?.terminate(.enhanceYourCalm)
    }

    private func fail(_ error: HTTP2Error) {
        closeReason = "\(error)"
        // The library has queued the GOAWAY that fits; the flush sends it.
        flushNow()
        context?.close(promise: nil)
    }

    private func scheduleFlush() {
        guard !flushScheduled, !isReading, !isFlushing, !isClosed else { return }
        flushScheduled = true
        eventLoop.assumeIsolated().execute { [weak self] in
            guard let self, flushScheduled else { return }
            flushNow()
        }
    }

    private func flushNow() {
        flushScheduled = false
        guard let session, let context, !isClosed, !isReading, !isFlushing else { return }
        isFlushing = true
        do throws(HTTP2Error) {
            while context.channel.isWritable {
                guard try session.produce() else { break }
                if output.readableBytes >= 64 << 10 { writeOutput() }
            }
        } catch {
            closeReason = "\(error)"
            context.close(promise: nil)
        }
        writeOutput()
        context.flush()
        isFlushing = false
        if !isClosed, !session.wantsToRead, !session.wantsToWrite {
            context.close(promise: nil)
        }
    }

    private func writeOutput() {
        guard output.readableBytes > 0 else { return }
        write(output)
        output = ByteBuffer()
    }

    private func write(_ buffer: ByteBuffer) {
        context?.write(wrapOutboundOut(buffer), promise: nil)
    }

    private func finish() {
        guard !isClosed else { return }
        isClosed = true
        for timer in timers { timer.cancel() }
        timers = []
        drainFinished = nil
        let open = streams.values.sorted { $0.id < $1.id }
        streams = [:]
        for stream in open {
            let unseen = role == .client && stream.id > lastStreamOfPeer
            stream.close(
                HTTP2StreamClosure(cause: unseen ? .neverProcessed : .connectionLost, code: .connectError)
            )
        }
        context = nil
        let closed = observer.closed
        observer = Observer()
        closed?(closeReason)
    }
}
