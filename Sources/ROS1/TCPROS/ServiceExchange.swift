import GrootCore
import NIOCore
import NIOPosix

/// One call of a service over a connection of its own.
enum ServiceExchange {
    /// Sends the header and, unless this is a probe, the request; returns the server's header and the response body.
    ///
    /// - Throws: `typeMismatch` or `refused` when the server says no, `timeout`, `unreachable`.
    static func run(
        at address: ROSAddress,
        header: ConnectionHeader,
        request: ByteBuffer?,
        group: any EventLoopGroup,
        timeout: Duration
    ) async throws(ROSError) -> (header: ConnectionHeader, response: ByteBuffer) {
        let loop = group.next()
        let promise = loop.makePromise(of: Outcome.self)
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(timeout))
            .channelInitializer { channel in
                TCPROSSocket.configure(channel).flatMapThrowing {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(FrameDecoder(.serviceReplies)))
                    try pipeline.addHandler(ServiceCallHandler(header: header, request: request, promise: promise))
                }
            }
            .connect(host: address.host, port: address.port)
        connected.whenFailure { promise.fail($0) }
        let timer = loop.scheduleTask(in: TimeAmount(timeout)) {
            promise.fail(ROSError(.timeout, "the service at \(address.authority) did not answer within \(timeout)"))
        }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        do {
            let outcome = try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                promise.fail(CancellationError())
            }
            return (outcome.header, outcome.response)
        } catch {
            throw ROSError.wrapping(error, .unreachable, "the service at \(address.authority) cannot be reached")
        }
    }

    fileprivate struct Outcome: Sendable {
        var header: ConnectionHeader
        var response: ByteBuffer
    }
}

/// Lives on its channel's event loop.
private final class ServiceCallHandler: ChannelInboundHandler {
    typealias InboundIn = TCPROSFrame
    typealias OutboundOut = ByteBuffer

    private let header: ConnectionHeader
    private let request: ByteBuffer?
    private let promise: EventLoopPromise<ServiceExchange.Outcome>
    private var reply: ConnectionHeader?

    init(header: ConnectionHeader, request: ByteBuffer?, promise: EventLoopPromise<ServiceExchange.Outcome>) {
        self.header = header
        self.request = request
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(header.framed()), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard let reply else { return open(context, frame.body) }
        if frame.isOK {
            promise.succeed(ServiceExchange.Outcome(header: reply, response: frame.body))
        } else {
            promise.fail(ROSError(.refused, "the service failed: \(String(buffer: frame.body))"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ROSError(.unreachable, "the service closed the connection without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    private func open(_ context: ChannelHandlerContext, _ body: ByteBuffer) {
        do {
            let reply = try ConnectionHeader(from: body)
            if let reason = reply["error"] {
                let isMismatch = reason.contains("md5sum") || reason.contains("type")
                throw ROSError(isMismatch ? .typeMismatch : .refused, "the service refused: \(reason)")
            }
            self.reply = reply
            if let request {
                var frame = ByteBuffer()
                frame.writeInteger(UInt32(request.readableBytes), endianness: .little)
                frame.writeImmutableBuffer(request)
                context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
            } else {
                promise.succeed(ServiceExchange.Outcome(header: reply, response: ByteBuffer()))
            }
        } catch {
            promise.fail(error)
        }
    }
}
