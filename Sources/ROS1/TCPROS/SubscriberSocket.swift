import Glibc
import GrootCore
import NIOCore

/// A second descriptor of a subscriber's connection, on which the publishing thread writes without asking the event loop.
///
/// The channel goes on reading from its own descriptor, and so notices when the subscriber leaves; it writes nothing any
/// more. Closed when the object goes. Any thread.
final class SubscriberSocket: Sendable {
    /// Bytes that may lie unsent in the kernel: about ten commands, so that a subscriber that was stuck never gets the
    /// commands of seconds ago.
    private static let unsentLimit: CInt = 4096

    private let descriptor: CInt

    /// Nil when the channel has no socket any more, or the process no descriptor.
    init?(of context: ChannelHandlerContext) {
        let operations = context.pipeline.syncOperations
        // A channel without a socket is not one of ours; there is nothing to be told beyond nil.
        let original = try? operations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { $0 }
        guard let original else { return nil }
        let duplicate = fcntl(original, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else { return nil }
        descriptor = duplicate
        // A kernel without the option keeps more unsent commands; the subscriber's patience still ends.
        var limit = Self.unsentLimit
        _ = unsafe setsockopt(duplicate, CInt(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &limit, socklen_t(4))
    }

    deinit {
        _ = close(descriptor)
    }

    /// Bytes that the kernel took at once, 0 when its buffer is full; nil when the connection is broken.
    func write(_ bytes: Span<UInt8>) -> Int? {
        unsafe bytes.withUnsafeBytes { bytes in
            while true {
                let count = unsafe send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL))
                if count >= 0 { return count }
                switch errno {
                case EINTR: continue
                case EAGAIN, ENOBUFS: return 0
                default: return nil
                }
            }
        }
    }

    /// Ends the connection in both directions; the channel sees it and closes.
    func end() {
        _ = shutdown(descriptor, CInt(SHUT_RDWR))
    }
}
