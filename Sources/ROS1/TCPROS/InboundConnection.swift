import DequeModule
import Logging
import NIOCore

/// What a node answers to a connection header that a peer sent.
enum InboundRole: Sendable {
    case subscriber(of: TopicSender, reply: ConnectionHeader)
    case client(of: ServiceEntry, reply: ConnectionHeader)
    case refused(ConnectionHeader)
}

/// One accepted TCPROS connection: first a header, then either our messages out or requests in. The messages of a direct
/// topic are written by its publishing thread; the connection then only waits for its end.
///
/// Lives on its channel's event loop.
final class InboundConnection: ChannelInboundHandler {
    typealias InboundIn = TCPROSFrame
    typealias OutboundOut = ByteBuffer

    /// Requests that one client may have waiting.
    private static let maximumWaitingRequests = 64

    private enum Phase {
        case header
        case subscriber(TopicSender, SubscriberLink)
        case directSubscriber(DirectSubscribers, SubscriberSocket)
        case client(ServiceEntry, isPersistent: Bool)
        case closed
    }

    private let decide: @Sendable (ConnectionHeader) -> InboundRole
    private let logger: Logger
    private var phase = Phase.header
    private var headerTimer: Scheduled<Void>?
    private var waiting: Deque<ByteBuffer> = []
    private var isResponding = false
    /// Topic and subscriber, for the log.
    private var identity: Logger.Metadata = [:]

    init(logger: Logger, decide: @escaping @Sendable (ConnectionHeader) -> InboundRole) {
        self.logger = logger
        self.decide = decide
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        headerTimer = context.eventLoop.scheduleTask(in: TCPROSSocket.headerTime) { channel.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch phase {
        case .header: open(context, header: frame.body)
        case .client(let entry, _):
            guard waiting.count < Self.maximumWaitingRequests else { return context.close(promise: nil) }
            waiting.append(frame.body)
            respondToNext(context, entry)
        case .subscriber, .directSubscriber, .closed: break
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .subscriber(_, let link) = phase { link.drain() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch phase {
        case .subscriber(let sender, let link): sender.remove(link)
        case .directSubscriber(let topic, let socket):
            if topic.remove(socket) {
                logger.warning("a subscriber that took no message was disconnected", metadata: identity)
            }
        case .header, .client, .closed: break
        }
        phase = .closed
        headerTimer?.cancel()
        waiting = []
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("TCPROS connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    private func open(_ context: ChannelHandlerContext, header body: ByteBuffer) {
        headerTimer?.cancel()
        let header: ConnectionHeader
        do {
            header = try ConnectionHeader(from: body)
        } catch {
            return refuse(context, .refusal(error.message))
        }
        switch decide(header) {
        case .refused(let reply): refuse(context, reply)
        case .client(let entry, let reply):
            context.writeAndFlush(wrapOutboundOut(reply.framed()), promise: nil)
            phase = .client(entry, isPersistent: header["persistent"] == "1")
        case .subscriber(let sender, let reply):
            if let topic = sender.direct {
                identity = ["topic": "\(sender.offer.topic)", "subscriber": "\(header["callerid"] ?? "")"]
                return handOver(context, to: topic, after: reply)
            }
            context.writeAndFlush(wrapOutboundOut(reply.framed()), promise: nil)
            let link = SubscriberLink(channel: context.channel, capacity: sender.offer.queueCapacity)
            guard sender.add(link) else { return context.close(promise: nil) }
            phase = .subscriber(sender, link)
            link.drain()
        }
    }

    /// The reply is the last that the event loop writes; after it the connection is the publishing thread's.
    private func handOver(_ context: ChannelHandlerContext, to topic: DirectSubscribers, after reply: ConnectionHeader)
    {
        // A subscriber has nothing to say meanwhile.
        phase = .closed
        let this = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(reply.framed())).whenSuccess {
            let (handler, context) = this.value
            guard context.channel.isActive else { return }
            guard let socket = SubscriberSocket(of: context), topic.add(socket, on: context.channel) else {
                return context.close(promise: nil)
            }
            handler.phase = .directSubscriber(topic, socket)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ reply: ConnectionHeader) {
        logger.warning("refused a TCPROS connection", metadata: ["reason": "\(reply["error"] ?? "")"])
        phase = .closed
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(reply.framed())).whenComplete { _ in channel.close(promise: nil) }
    }

    /// Runs the handler for the oldest waiting request, one at a time and in order.
    private func respondToNext(_ context: ChannelHandlerContext, _ entry: ServiceEntry) {
        guard !isResponding, let request = waiting.popFirst() else { return }
        isResponding = true
        let answered = context.eventLoop.makeFutureWithTask { await Self.answer(request, with: entry) }
        let this = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        answered.whenSuccess { frame in this.value.handler.finish(this.value.context, entry, frame: frame) }
    }

    private static func answer(_ request: ByteBuffer, with entry: ServiceEntry) async -> ByteBuffer {
        do {
            return ServiceEntry.frame(isOK: true, body: try await entry.respond(request))
        } catch {
            let text = (error as? ROSError)?.message ?? "\(error)"
            return ServiceEntry.frame(isOK: false, body: ByteBuffer(string: text))
        }
    }

    private func finish(_ context: ChannelHandlerContext, _ entry: ServiceEntry, frame: ByteBuffer) {
        isResponding = false
        guard case .client(_, let isPersistent) = phase else { return }
        let written = context.writeAndFlush(wrapOutboundOut(frame))
        if isPersistent {
            respondToNext(context, entry)
        } else {
            let channel = context.channel
            written.whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
