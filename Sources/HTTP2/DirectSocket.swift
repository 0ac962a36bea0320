import Glibc
import NIOCore

/// The socket of a cleartext connection, for gathered writes past the channel's queue. Confined to the channel's event
/// loop.
///
/// The channel takes one buffer a write, and every frame of a body is two of them; its queue costs more than the copy into
/// the kernel. So what the kernel takes at once goes there directly, and only the rest to the channel, which waits for
/// the socket. Order holds because nothing goes directly while the channel has anything queued.
struct DirectSocket {
    private let channel: any Channel
    private let descriptor: NIOBSDSocket.Handle
    /// The channel was given bytes and may still hold some.
    private var channelMayHold = false

    /// Nil when what is written passes through other handlers (TLS), or the channel has no socket.
    init?(_ context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        guard (try? pipeline.handler(type: TLSHandler.self)) == nil,
            let descriptor = try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self, { $0 })
        else { return nil }
        channel = context.channel
        self.descriptor = descriptor
    }

    /// Writes what the kernel takes at once; what is left goes through `rest` to the channel.
    mutating func write(_ frames: inout OutboundFrames, rest: (ByteBuffer) -> Void) {
        let total = frames.byteCount
        let written = canWrite ? send(&frames) : 0
        if written == total {
            frames.removeAll()
        } else {
            channelMayHold = true
            frames.drain(skipping: written, rest)
        }
    }

    /// An active channel has an open socket: NIO changes both in one step.
    private var canWrite: Bool {
        mutating get {
            if channelMayHold { channelMayHold = channel.queuedBytes > 0 }
            return !channelMayHold && channel.isActive
        }
    }

    /// Bytes that the kernel took. Errors are the channel's to find and report: it is given the same bytes.
    private func send(_ frames: inout OutboundFrames) -> Int {
        unsafe frames.withVectors { vectors in
            var message = unsafe msghdr()
            unsafe message.msg_iov = vectors.baseAddress
            unsafe message.msg_iovlen = min(vectors.count, Int(UIO_MAXIOV))
            while true {
                let count = unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                if count >= 0 { return count }
                guard errno == EINTR else { return 0 }
            }
        }
    }
}

extension Channel {
    /// Bytes that the channel holds because the socket does not take them. Channels without the option (embedded ones) hold
    /// nothing.
    var queuedBytes: Int { (try? syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }
}
