import DequeModule
import Logging
import NIOCore

/// What a node answers to a connection header that a peer sent.
enum InboundRole: Sendable {
    case subscriber(of: TopicSender, reply: ConnectionHeader)
    case client(of: ServiceEntry, reply: ConnectionHeader)
    case refused(ConnectionHeader)
}

/// One accepted TCPROS connection: first a header, then either our messages out or requests in.
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
        case client(ServiceEntry, isPersistent: Bool)
        case closed
    }

    private let decide: @Sendable (ConnectionHeader) -> InboundRole
    private let logger: Logger
    private var phase = Phase.header
    private var headerTimer: Scheduled<Void>?
    private var waiting: Deque<ByteBuffer> = []
    private var isResponding = false

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
        case .subscriber, .closed: break
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .subscriber(_, let link) = phase { link.drain() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .subscriber(let sender, let link) = phase { sender.remove(link) }
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
            context.writeAndFlush(wrapOutboundOut(reply.framed()), promise: nil)
            let link = SubscriberLink(channel: context.channel, capacity: sender.offer.queueCapacity)
            guard sender.add(link) else { return context.close(promise: nil) }
            phase = .subscriber(sender, link)
            link.drain()
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
