import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Accepts TCPROS connections for all topics and services of one node.
final class TCPROSServer: Sendable {
    /// Connections beyond this are closed at once.
    static let maximumConnections = 1024

    private let channel: any Channel

    private init(channel: any Channel) {
        self.channel = channel
    }

    static func start(
        host: String,
        group: any EventLoopGroup,
        logger: Logger,
        decide: @escaping @Sendable (ConnectionHeader) -> InboundRole
    ) async throws(ROSError) -> TCPROSServer {
        let connections = ConnectionCount()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                guard connections.enter() else {
                    return channel.eventLoop.makeFailedFuture(ROSError(.tooLarge, "too many TCPROS connections"))
                }
                channel.closeFuture.whenComplete { _ in connections.leave() }
                return TCPROSSocket.configure(channel).flatMapThrowing {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(FrameDecoder(.messages)))
                    try pipeline.addHandler(InboundConnection(logger: logger, decide: decide))
                }
            }
        do {
            return TCPROSServer(channel: try await bootstrap.bind(host: host, port: 0).get())
        } catch {
            throw ROSError(.unreachable, "cannot listen on \(host); is it an address of this machine?", cause: error)
        }
    }

    var port: Int { channel.localAddress?.port ?? 0 }

    func stop() async {
        // Closing twice reports an error that changes nothing.
        try? await channel.close().get()
    }
}

/// Open connections of one server; any event loop.
private final class ConnectionCount: Sendable {
    private let count = Atomic(0)

    func enter() -> Bool {
        let (before, _) = count.add(1, ordering: .relaxed)
        guard before < TCPROSServer.maximumConnections else {
            leave()
            return false
        }
        return true
    }

    func leave() {
        count.subtract(1, ordering: .relaxed)
    }
}
