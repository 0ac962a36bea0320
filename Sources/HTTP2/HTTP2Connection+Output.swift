import GrootCore
import NIOCore

// The shell: reading, flushing, timers, the end.
extension HTTP2Connection {
    func start() {
        guard session == nil, !isClosed else { return }
        do throws(HTTP2Error) {
            session = try NGHTTP2Session(role: role, limits: limits, events: self)
        } catch {
            fail(error)
            return
        }
        socket = context.flatMap { DirectSocket($0) }
        idleSince = .now()
        startLimits()
        if role == .server, let refusal = observer.admits?(peer, context?.remoteAddress?.ipAddress ?? "local") {
            close(.enhanceYourCalm, reason: refusal)
            return
        }
        scheduleFlush()
    }

    /// Timers hold the connection until they fire or it is closed.
    func after(_ delay: Duration, _ name: TimerName, _ body: @escaping (HTTP2Connection) -> Void) {
        timers[name]?.cancel()
        timers[name] = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [self] in
            if !isClosed { body(self) }
        }
    }

    func fail(_ error: HTTP2Error) {
        closeReason = "\(error)"
        if let limit = error.limit {
            hit(limit, "the connection ends")
            session?.terminate(.enhanceYourCalm)
        }
        // Otherwise the library has queued the GOAWAY that fits; the flush sends it.
        flushNow()
        if let context { end(context) }
    }

    /// The socket's end after our last words. Servers stop writing first and take what is still under way: closing with
    /// unread bytes would be a reset, which throws away what the peer has not read yet.
    func end(_ context: ChannelHandlerContext) {
        guard role == .server, limits.lingerTimeout > .zero, context.channel.isActive else {
            context.close(promise: nil)
            return
        }
        finish()
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        let timer = eventLoop.scheduleTask(in: .nanoseconds(limits.lingerTimeout.nanoseconds)) {
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in timer.cancel() }
    }

    func scheduleFlush() {
        guard !flushScheduled, !isReading, !isFlushing, !isClosed else { return }
        flushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            if flushScheduled { flushNow() }
        }
    }

    /// Frames go to the socket, or to the channel, in portions of this size.
    private static let handOver = 256 << 10

    func flushNow() {
        flushScheduled = false
        guard let session, let context, !isClosed, !isReading, !isFlushing else { return }
        isFlushing = true
        do throws(HTTP2Error) {
            // Only what it was handed can make the channel full.
            while output.byteCount > 0 || context.channel.isWritable {
                guard try session.produce() else { break }
                if output.byteCount >= Self.handOver { writeOutput() }
            }
        } catch {
            closeReason = "\(error)"
            context.close(promise: nil)
        }
        writeOutput()
        context.flush()
        isFlushing = false
        if !isClosed, closesAfterFlush || !session.wantsToRead && !session.wantsToWrite { end(context) }
    }

    func writeOutput() {
        guard output.byteCount > 0 else { return }
        writtenBytes &+= output.byteCount
        guard let context else {
            output = OutboundFrames()
            return
        }
        let toChannel = { (bytes: ByteBuffer) in context.write(self.wrapOutboundOut(bytes), promise: nil) }
        if socket == nil { output.drain(toChannel) } else { socket?.write(&output, rest: toChannel) }
    }

    func finish() {
        guard !isClosed else { return }
        isClosed = true
        for timer in timers.values { timer.cancel() }
        timers = [:]
        drainFinished = nil
        let open = streams.values.sorted { $0.id < $1.id }
        streams = [:]
        for stream in open {
            let unseen = role == .client && stream.id > lastStreamOfPeer
            stream.close(
                HTTP2StreamClosure(cause: unseen ? .neverProcessed : .connectionLost, code: .connectError)
            )
        }
        quota?.give(back: queuedBytes)
        queuedBytes = 0
        context = nil
        socket = nil
        let closed = observer.closed
        observer = Observer()
        closed?(closeReason)
    }
}
