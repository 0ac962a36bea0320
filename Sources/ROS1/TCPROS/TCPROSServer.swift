import Logging
import NIOCore
import NIOPosix

/// Accepts TCPROS connections for all topics and services of one node.
final class TCPROSServer: Sendable {
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
        let connections = ConnectionLimit()
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                guard connections.admit(channel) else { return connections.refusal(of: channel) }
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
