import NIOCore
import Synchronization

/// Counts the open connections of one server and refuses those beyond the limit; any event loop.
final class ConnectionLimit: Sendable {
    /// A large robot has about 100 nodes.
    static let defaultMaximum = 1024

    private let maximum: Int
    private let open = Atomic(0)

    init(maximum: Int = defaultMaximum) {
        self.maximum = maximum
    }

    /// Counts the channel until it closes; false when there are too many.
    func admit(_ channel: any Channel) -> Bool {
        guard open.add(1, ordering: .relaxed).oldValue < maximum else {
            open.subtract(1, ordering: .relaxed)
            return false
        }
        channel.closeFuture.whenComplete { _ in self.open.subtract(1, ordering: .relaxed) }
        return true
    }

    /// What a channel initializer returns to have the channel closed.
    func refusal(of channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeFailedFuture(ROSError(.tooLarge, "more than \(maximum) connections are open"))
    }
}
