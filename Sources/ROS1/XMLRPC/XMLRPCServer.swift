import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// An XML-RPC server: answers each POST through one synchronous handler on the connection's event loop.
///
/// Calls of one connection are answered in order. `system.multicall` is served here for every method.
final class XMLRPCServer: Sendable {
    typealias Handler = @Sendable (_ method: String, _ parameters: [XMLRPCValue]) throws(ROSError) -> XMLRPCValue

    /// A connection that says nothing for this long is closed.
    private static let idleTime = TimeAmount.minutes(5)
    /// Most calls bundled in one `system.multicall`.
    private static let maximumBatch = 1024

    private let channel: any Channel

    private init(channel: any Channel) {
        self.channel = channel
    }

    /// Binds; port 0 picks a free one.
    static func start(
        host: String,
        port: Int,
        group: any EventLoopGroup,
        handler: @escaping Handler
    ) async throws(ROSError) -> XMLRPCServer {
        let connections = ConnectionLimit()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                guard connections.admit(channel) else { return connections.refusal(of: channel) }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(IdleStateHandler(allTimeout: Self.idleTime))
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(
                        NIOHTTPServerRequestAggregator(maxContentLength: XMLRPCDocument.maximumBytes)
                    )
                    try pipeline.addHandler(XMLRPCRequestHandler(handler: handler))
                }
            }
        do {
            return XMLRPCServer(channel: try await bootstrap.bind(host: host, port: port).get())
        } catch {
            throw ROSError(.unreachable, "cannot listen on \(host):\(port); is the port in use?", cause: error)
        }
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() async {
        // Closing twice reports an error that changes nothing.
        try? await channel.close().get()
    }

    /// Turns a request body into a response document; never fails.
    static func answer(_ body: [UInt8], with handler: Handler) -> XMLRPCDocument {
        do {
            guard case .call(let method, let parameters) = try XMLRPCDocument(parsing: body) else {
                throw ROSError(.malformed, "a method call was expected")
            }
            guard method == "system.multicall" else { return .response(try handler(method, parameters)) }
            return .response(.array(try multicall(parameters, with: handler)))
        } catch {
            return .fault(code: 1, message: ROSError.wrapping(error, .refused, "the call failed").message)
        }
    }

    private static func multicall(_ parameters: [XMLRPCValue], with handler: Handler) throws(ROSError) -> [XMLRPCValue]
    {
        guard let calls = parameters.first?.array, calls.count <= maximumBatch else {
            throw ROSError(.malformed, "system.multicall takes an array of at most \(maximumBatch) calls")
        }
        return calls.map { call in
            let members = call.structure ?? [:]
            do {
                guard let method = members["methodName"]?.string, method != "system.multicall" else {
                    throw ROSError(.malformed, "a bundled call needs a methodName other than system.multicall")
                }
                return .array([try handler(method, members["params"]?.array ?? [])])
            } catch {
                let message = ROSError.wrapping(error, .refused, "the call failed").message
                return .structure(["faultCode": .int(1), "faultString": .string(message)])
            }
        }
    }
}

/// Answers aggregated HTTP requests; lives on its channel's event loop.
private final class XMLRPCRequestHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPServerRequestFull
    typealias OutboundOut = HTTPServerResponsePart

    private let handler: XMLRPCServer.Handler

    init(handler: @escaping XMLRPCServer.Handler) {
        self.handler = handler
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = unwrapInboundIn(data)
        guard request.head.method == .POST else {
            return respond(context, to: request.head, status: .methodNotAllowed, body: "")
        }
        let body = request.body.map { [UInt8](buffer: $0) } ?? []
        respond(context, to: request.head, status: .ok, body: XMLRPCServer.answer(body, with: handler).encoded())
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func respond(
        _ context: ChannelHandlerContext,
        to request: HTTPRequestHead,
        status: HTTPResponseStatus,
        body: String
    ) {
        var headers = HTTPHeaders([("Content-Type", "text/xml"), ("Content-Length", "\(body.utf8.count)")])
        if !request.isKeepAlive { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !request.isKeepAlive {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            written.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }
}
