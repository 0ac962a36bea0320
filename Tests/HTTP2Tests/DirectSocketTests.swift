import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import HTTP2

/// What is written past the channel's queue arrives in order with what the queue holds.
@Suite(.timeLimit(.minutes(1)))
struct DirectSocketTests {
    @Test
    func `what the kernel does not take waits in the channel, and everything arrives in order`() async throws {
        let peer = try await SilentPeer()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Writer()) }
            }
            .connect(host: "127.0.0.1", port: peer.port).get()
        func write(_ portions: [Int], flush: Bool = true) async throws -> Writer.Outcome {
            try await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.handler(type: Writer.self).write(portions, flush: flush)
            }.get()
        }
        // More than the buffers of both sockets take while nobody reads.
        var sent = 0
        var waits = 0
        while waits == 0 {
            try #require(sent < 256 << 20, "the kernel takes everything")
            waits = try await write([1 << 20, 1000]).waits
            sent += (1 << 20) + 1000
        }
        // Behind what waits, flushed or not.
        #expect(try await write([50, 70_000], flush: false).channelWrites > 0)
        #expect(try await write([3]).waits > waits)
        sent += 70_053
        try await peer.read(until: sent)
        // The peer has everything, so nothing waits any more: directly again.
        let direct = try await write([40_000, 10])
        #expect(direct.channelWrites == 0 && direct.waits == 0)
        sent += 40_010
        let received = try await peer.read(until: sent)
        let isInOrder = received.readableBytesView.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: $0 % 251) }
        #expect(isInOrder && received.readableBytes == sent)
        try await channel.close()
        try await peer.close()
    }

    @Test
    func `there is none without a socket`() throws {
        let plain = EmbeddedChannel(handler: Writer())
        plain.connect(to: try SocketAddress(unixDomainSocketPath: "/none"), promise: nil)
        #expect(try !plain.pipeline.syncOperations.handler(type: Writer.self).hasSocket)
    }
}

/// Writes a byte pattern through a `DirectSocket`.
private final class Writer: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Outcome: Sendable {
        var channelWrites = 0
        /// Bytes that the channel holds afterwards.
        var waits = 0
    }

    private struct State {
        var context: ChannelHandlerContext?
        var socket: DirectSocket?
        var position = 0
    }

    private nonisolated(unsafe) var state = State()
    var hasSocket: Bool { unsafe state.socket != nil }

    func channelActive(context: ChannelHandlerContext) {
        unsafe state.context = context
        unsafe state.socket = DirectSocket(context)
    }

    func write(_ portions: [Int], flush: Bool) -> Outcome {
        var outcome = Outcome()
        guard let context = unsafe state.context else { return outcome }
        var frames = OutboundFrames()
        for count in portions {
            let start = unsafe state.position
            frames.append(ByteBuffer(bytes: (start..<start + count).map { UInt8($0 % 251) }), inlineSize: 100)
            unsafe state.position += count
        }
        unsafe state.socket?.write(&frames) { bytes in
            outcome.channelWrites += 1
            context.write(wrapOutboundOut(bytes), promise: nil)
        }
        #expect(frames.byteCount == 0)
        if flush { context.flush() }
        outcome.waits = context.channel.queuedBytes
        return outcome
    }
}

/// Accepts one connection and reads only when told to.
private final class SilentPeer: Sendable {
    private let listener: any Channel
    private let accepted: EventLoopPromise<any Channel>
    var port: Int { listener.localAddress?.port ?? 0 }

    init() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let accepted = group.next().makePromise(of: (any Channel).self)
        self.accepted = accepted
        listener = try await ServerBootstrap(group: group)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                accepted.succeed(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// Everything since the connection was opened, once it is that long.
    @discardableResult
    func read(until count: Int) async throws -> ByteBuffer {
        let channel = try await accepted.futureResult.get()
        while true {
            channel.read()
            let received = try await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.handler(type: Collector.self).received
            }.get()
            if received.readableBytes >= count { return received }
        }
    }

    func close() async throws {
        try await listener.close()
    }

    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private nonisolated(unsafe) var bytes = ByteBuffer()
        var received: ByteBuffer { unsafe bytes }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            unsafe bytes.writeImmutableBuffer(unwrapInboundIn(data))
        }
    }
}
