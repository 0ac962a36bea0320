import NIOCore
import NIOHTTP1
import NIOPosix

/// Calls XML-RPC methods of masters and nodes, one connection per call; any task.
struct XMLRPCClient: Sendable {
    /// How long a call may take unless the caller says otherwise.
    static let defaultTimeout = Duration.seconds(5)

    let group: any EventLoopGroup

    /// Calls a method and returns its result.
    ///
    /// - Throws: `unreachable`, `timeout`, `malformed`; `refused` for a fault.
    func call(
        _ method: String,
        _ parameters: [XMLRPCValue],
        at uri: String,
        timeout: Duration = defaultTimeout
    ) async throws(ROSError) -> XMLRPCValue {
        let address = try ROSAddress(parsing: uri, scheme: "http", defaultPort: 80)
        let body = XMLRPCDocument.call(method: method, parameters: parameters).encoded()
        let bytes = try await exchange(body, with: address, timeout: timeout)
        switch try XMLRPCDocument(parsing: bytes) {
        case .response(let value): return value
        case .fault(_, let message):
            throw ROSError(.refused, "\(uri) answered \(method) with a fault: \(message)")
        case .call: throw ROSError(.malformed, "\(uri) answered \(method) with a call")
        }
    }

    /// Calls a method of the ROS APIs, whose result is `[code, status, value]`, and returns the value.
    ///
    /// - Throws: as `call`; `refused` with the peer's status text when the code is not 1.
    func callROS(
        _ method: String,
        _ parameters: [XMLRPCValue],
        at uri: String,
        timeout: Duration = defaultTimeout
    ) async throws(ROSError) -> XMLRPCValue {
        let result = try await call(method, parameters, at: uri, timeout: timeout)
        guard let triple = result.array, triple.count == 3, let code = triple[0].int else {
            throw ROSError(.malformed, "\(uri) answered \(method) without [code, status, value]")
        }
        guard code == 1 else {
            throw ROSError(.refused, "\(uri) refused \(method): \(triple[1].string ?? "no reason given")")
        }
        return triple[2]
    }

    private func exchange(_ body: String, with address: ROSAddress, timeout: Duration) async throws(ROSError) -> [UInt8]
    {
        let loop = group.next()
        let promise = loop.makePromise(of: [UInt8].self)
        let request = OutgoingRequest(authority: address.authority, body: body)
        let limit = TimeAmount(timeout)
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(limit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(
                        NIOHTTPClientResponseAggregator(maxContentLength: XMLRPCDocument.maximumBytes)
                    )
                    try pipeline.addHandler(ExchangeHandler(request: request, promise: promise))
                }
            }
            .connect(host: address.host, port: address.port)
        connected.whenFailure { promise.fail($0) }
        let timer = loop.scheduleTask(in: limit) {
            promise.fail(ROSError(.timeout, "\(address.authority) did not answer within \(timeout)"))
            connected.whenSuccess { $0.close(promise: nil) }
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                promise.fail(CancellationError())
                connected.whenSuccess { $0.close(promise: nil) }
            }
        } catch {
            throw ROSError.wrapping(error, .unreachable, "\(address.authority) cannot be reached; does it run there?")
        }
    }
}

private struct OutgoingRequest: Sendable {
    var authority: String
    var body: String
}

/// Sends one request when the connection stands and completes the promise with the response body.
private final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPClientResponseFull
    typealias OutboundOut = HTTPClientRequestPart

    private let request: OutgoingRequest
    private let promise: EventLoopPromise<[UInt8]>

    init(request: OutgoingRequest, promise: EventLoopPromise<[UInt8]>) {
        self.request = request
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        let headers = HTTPHeaders([
            ("Host", request.authority), ("User-Agent", "groot-ros1"), ("Content-Type", "text/xml"),
            ("Content-Length", "\(request.body.utf8.count)"), ("Connection", "close"),
        ])
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/RPC2", headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: request.body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let response = unwrapInboundIn(data)
        if response.head.status == .ok {
            promise.succeed(response.body.map { [UInt8](buffer: $0) } ?? [])
        } else {
            promise.fail(ROSError(.refused, "\(request.authority) answered HTTP status \(response.head.status.code)"))
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ROSError(.unreachable, "\(request.authority) closed the connection without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
