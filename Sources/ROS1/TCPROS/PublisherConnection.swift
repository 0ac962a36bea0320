import GrootCore
import Logging
import NIOCore
import NIOPosix

/// What a subscription expects of a publisher, with the message type erased.
struct TopicDemand: Sendable {
    var topic: String
    var type: String
    /// Our own fingerprint first, then those of the known variants.
    var acceptedMD5s: [String]
    /// Hears what becomes of each publisher; runs on the connection's event loop.
    var publishers: (@Sendable (ROSPublisherEvent) -> Void)?
    /// Decodes and delivers one body; runs on the connection's event loop.
    var deliver: @Sendable (ByteBuffer, ROSReceipt) throws(ROSError) -> Void

    /// Checks the publisher's header: type and fingerprint are ones that we decode, as rospy and roscpp demand it.
    ///
    /// A field that moved keeps the type's name and changes the fingerprint: bytes of unknown meaning are never decoded.
    func check(_ header: ConnectionHeader) throws(ROSError) -> ROSPublisherDescription {
        if let reason = header["error"] { throw ROSError(.refused, "the publisher refused: \(reason)") }
        let found = ROSPublisherDescription(
            name: header["callerid"] ?? "",
            type: header["type"] ?? "",
            md5: header["md5sum"] ?? ""
        )
        guard found.type == type, acceptedMD5s.contains(found.md5) else {
            let refusal = ROSRefusal(publisher: found, expectedType: type, expectedMD5s: acceptedMD5s)
            publishers?(.refused(refusal))
            throw ROSError(.typeMismatch, "topic \(topic): \(refusal)")
        }
        return found
    }
}

/// One connection of ours to a publisher of a topic.
enum PublisherConnection {
    /// Connects, exchanges headers and delivers messages until the connection ends or the task is cancelled.
    ///
    /// - Throws: why it ended; returns normally only when the publisher closed an accepted connection.
    static func run(
        to address: ROSAddress,
        demand: TopicDemand,
        callerID: String,
        group: any EventLoopGroup,
        logger: Logger,
        accepted: @escaping @Sendable (ROSPublisherDescription) -> Void
    ) async throws(ROSError) {
        let loop = group.next()
        let ended = loop.makePromise(of: Void.self)
        let header = ConnectionHeader([
            "callerid": callerID, "topic": demand.topic, "type": ConnectionHeader.wildcard,
            "md5sum": ConnectionHeader.wildcard, "tcp_nodelay": "1", "message_definition": "",
        ])
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(TCPROSSocket.connectTime)
            .channelInitializer { channel in
                TCPROSSocket.configure(channel).flatMapThrowing {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(FrameDecoder(.messages)))
                    try pipeline.addHandler(
                        PublisherHandler(
                            header: header,
                            demand: demand,
                            logger: logger,
                            accepted: accepted,
                            ended: ended
                        )
                    )
                }
            }
            .connect(host: address.host, port: address.port)
        connected.whenFailure { ended.fail($0) }
        do {
            try await withTaskCancellationHandler {
                try await ended.futureResult.get()
            } onCancel: {
                connected.whenSuccess { $0.close(promise: nil) }
            }
        } catch {
            throw ROSError.wrapping(error, .unreachable, "the publisher at \(address.authority) cannot be reached")
        }
    }
}

/// Delivers the messages of one publisher; lives on its channel's event loop.
private final class PublisherHandler: ChannelInboundHandler {
    typealias InboundIn = TCPROSFrame
    typealias OutboundOut = ByteBuffer

    private let header: ConnectionHeader
    private let demand: TopicDemand
    private let accepted: @Sendable (ROSPublisherDescription) -> Void
    private let ended: EventLoopPromise<Void>
    private let logger: Logger
    private var source: ROSPublisherDescription?
    private var headerTimer: Scheduled<Void>?
    private var undecodable = RateLimit(every: .seconds(5))

    init(
        header: ConnectionHeader,
        demand: TopicDemand,
        logger: Logger,
        accepted: @escaping @Sendable (ROSPublisherDescription) -> Void,
        ended: EventLoopPromise<Void>
    ) {
        self.header = header
        self.demand = demand
        self.logger = logger
        self.accepted = accepted
        self.ended = ended
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(header.framed()), promise: nil)
        let channel = context.channel
        let ended = ended
        headerTimer = context.eventLoop.scheduleTask(in: TCPROSSocket.headerTime) {
            ended.fail(ROSError(.timeout, "the publisher did not send its connection header"))
            channel.close(promise: nil)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let body = unwrapInboundIn(data).body
        guard let source else { return open(context, body) }
        let now = MonotonicInstant.now()
        let receipt = ROSReceipt(
            receivedAt: now,
            publisher: source.name,
            md5: source.md5,
            byteCount: body.readableBytes
        )
        do {
            try demand.deliver(body, receipt)
        } catch {
            guard let suppressed = undecodable.admit(at: now) else { return }
            logger.warning(
                "dropped a message that cannot be decoded",
                metadata: [
                    "topic": "\(demand.topic)", "publisher": "\(source.name)", "md5": "\(source.md5)",
                    "error": "\(error)", "suppressed": "\(suppressed)",
                ]
            )
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        headerTimer?.cancel()
        if source == nil {
            ended.fail(ROSError(.unreachable, "the publisher closed the connection before its header"))
        } else {
            ended.succeed(())
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ended.fail(error)
        context.close(promise: nil)
    }

    private func open(_ context: ChannelHandlerContext, _ body: ByteBuffer) {
        headerTimer?.cancel()
        do {
            let source = try demand.check(ConnectionHeader(from: body))
            self.source = source
            accepted(source)
        } catch {
            ended.fail(error)
            context.close(promise: nil)
        }
    }
}
