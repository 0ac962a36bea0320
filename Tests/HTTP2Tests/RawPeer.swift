import NIOCore
import NIOPosix
import Synchronization

/// A TCP connection that speaks no protocol of its own: sends bytes, keeps what comes.
final class RawPeer: Sendable {
    private let channel: any Channel
    private let inbox: Inbox

    init(port: Int, reads: Bool = true) async throws {
        let inbox = Inbox()
        self.inbox = inbox
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(inbox))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    deinit {
        channel.close(promise: nil)
    }

    var isClosed: Bool { inbox.state.withLock { $0.closed } }
    var received: ByteBuffer { inbox.state.withLock { $0.received } }

    func send(_ bytes: ByteBuffer) {
        channel.writeAndFlush(bytes, promise: nil)
    }

    private final class Inbox: Sendable {
        struct State {
            var received = ByteBuffer()
            var closed = false
        }
        let state = Mutex(State())
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let inbox: Inbox

        init(_ inbox: Inbox) {
            self.inbox = inbox
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let part = unwrapInboundIn(data)
            inbox.state.withLock { _ = $0.received.writeImmutableBuffer(part) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            inbox.state.withLock { $0.closed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
