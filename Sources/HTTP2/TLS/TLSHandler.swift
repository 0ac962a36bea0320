import GrootCore
import NIOCore

/// TLS between the socket and `HTTP2Connection`. Confined to the channel's event loop.
///
/// Downstream sees the channel become active once the handshake is done, with `TLSPeer` as a user event just before.
/// A failed handshake is an `HTTP2Error` with code `tls` through the pipeline, then the end of the channel.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case waiting
        case handshaking
        case open
        case closed
    }

    /// Small writes are gathered into records of this size, the largest there is.
    private static let recordSize = 16 << 10

    private let session: TLSSession
    private let timeout: Duration
    private var state = State.waiting
    private var timer: Scheduled<Void>?
    /// Plaintext that waits for more to fill a record.
    private var gathered = ByteBuffer()
    /// The caller's wish to hear of the end of a write, kept for the next piece of ciphertext.
    private var promise: EventLoopPromise<Void>?

    init(_ context: TLSContext, serverName: String?, timeout: Duration) throws(HTTP2Error) {
        session = try TLSSession(context, serverName: serverName)
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        start(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        session.receive(unwrapInboundIn(data))
        do throws(HTTP2Error) {
            if case .handshaking = state { try proceed(context) }
            while case .open = state {
                switch try session.read(context.channel.allocator) {
                case .plaintext(let plaintext): context.fireChannelRead(wrapInboundOut(plaintext))
                case .nothing: return
                case .end:
                    context.close(promise: nil)
                    return
                }
            }
        } catch {
            fail(error, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let early = state
        end()
        switch early {
        case .handshaking:
            context.fireErrorCaught(HTTP2Error(.tls, "the peer closed the connection during the TLS handshake"))
        case .waiting, .open, .closed: break
        }
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .open = state else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        if let promise { self.promise.setOrCascade(to: promise) }
        do throws(HTTP2Error) {
            try encrypt(unwrapOutboundIn(data))
        } catch {
            fail(error, context)
            return
        }
        // The channel's writability counts what it was given: hand over a record's worth as it is there.
        if session.output.readableBytes >= 256 << 10 { send(context) }
    }

    func flush(context: ChannelHandlerContext) {
        if case .open = state {
            do throws(HTTP2Error) {
                try session.write(gathered)
                gathered.clear()
            } catch {
                fail(error, context)
                return
            }
        }
        send(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if case .open = state {
            flush(context: context)
            session.shutdown()
            send(context)
            context.flush()
        }
        end()
        context.close(mode: mode, promise: promise)
    }

    private func start(_ context: ChannelHandlerContext) {
        guard case .waiting = state else { return }
        state = .handshaking
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let limit = timeout
        timer = context.eventLoop.scheduleTask(in: .nanoseconds(limit.nanoseconds)) {
            let (handler, context) = bound.value
            handler.fail(HTTP2Error(.tls, "the TLS handshake did not end within \(limit)"), context)
        }
        do throws(HTTP2Error) {
            try proceed(context)
        } catch {
            fail(error, context)
        }
    }

    private func proceed(_ context: ChannelHandlerContext) throws(HTTP2Error) {
        let isDone = try session.handshake()
        send(context)
        context.flush()
        guard isDone else { return }
        timer?.cancel()
        state = .open
        context.fireUserInboundEventTriggered(session.peer)
        context.fireChannelActive()
    }

    /// Fills records: a frame header of nine bytes would otherwise cost a record of its own.
    private func encrypt(_ plaintext: ByteBuffer) throws(HTTP2Error) {
        var rest = plaintext
        if gathered.readableBytes > 0 {
            let room = Self.recordSize - gathered.readableBytes
            if let head = rest.readSlice(length: min(room, rest.readableBytes)) { gathered.writeImmutableBuffer(head) }
            guard gathered.readableBytes >= Self.recordSize else { return }
            try session.write(gathered)
            gathered.clear()
        }
        let whole = rest.readableBytes / Self.recordSize * Self.recordSize
        if whole > 0, let records = rest.readSlice(length: whole) { try session.write(records) }
        if rest.readableBytes > 0 { gathered.writeImmutableBuffer(rest) }
    }

    private func send(_ context: ChannelHandlerContext) {
        guard session.output.readableBytes > 0 else { return }
        let ciphertext = session.output
        session.output = ByteBuffer()
        let promise = promise
        self.promise = nil
        context.write(wrapOutboundOut(ciphertext), promise: promise)
    }

    private func fail(_ error: HTTP2Error, _ context: ChannelHandlerContext) {
        switch state {
        case .closed: return
        case .waiting, .handshaking, .open: break
        }
        // The alert that tells the peer why.
        send(context)
        context.flush()
        end()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    private func end() {
        timer?.cancel()
        timer = nil
        state = .closed
        promise?.fail(ChannelError.ioOnClosedChannel)
        promise = nil
    }
}
