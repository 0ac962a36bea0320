import Glibc
import NIOCore
import NIOPosix

/// Socket options shared by every TCPROS connection.
enum TCPROSSocket {
    /// A peer must send its connection header within this time.
    static let headerTime = TimeAmount.seconds(10)
    static let connectTime = TimeAmount.seconds(5)
    /// Bytes waiting in the socket above which a connection takes no further messages.
    static let writeWaterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 64 << 10, high: 256 << 10)

    /// A peer that vanished without closing is noticed after about ten seconds.
    private static let keepAlive: [(name: CInt, value: Int)] = [
        (TCP_KEEPIDLE, 4), (TCP_KEEPINTVL, 2), (TCP_KEEPCNT, 3),
    ]

    /// Applies no-delay and keep-alive, to be called from a channel initializer.
    static func configure(_ channel: any Channel) -> EventLoopFuture<Void> {
        var steps = [
            channel.setOption(.tcpOption(.tcp_nodelay), value: 1),
            channel.setOption(.socketOption(.so_keepalive), value: 1),
            channel.setOption(.writeBufferWaterMark, value: writeWaterMark),
            channel.setOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 1 << 20)
            ),
        ]
        for option in keepAlive {
            steps.append(
                channel.setOption(
                    ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: option.name)),
                    value: option.value
                )
            )
        }
        return EventLoopFuture.andAllSucceed(steps, on: channel.eventLoop)
    }
}
