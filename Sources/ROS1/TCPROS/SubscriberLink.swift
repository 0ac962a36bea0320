import GrootCore
import NIOCore
import Synchronization

/// One connected subscriber of a topic of ours: a bounded queue in front of its channel.
///
/// `offer` is called by publishing threads one at a time; draining happens on the channel's event loop.
final class SubscriberLink: Sendable {
    private let channel: any Channel
    private let queue: BoundedRing<ByteBuffer>
    private let isScheduled = Atomic(false)

    init(channel: any Channel, capacity: Int) {
        self.channel = channel
        self.queue = BoundedRing(capacity: capacity)
    }

    /// Queues a frame; returns how many older ones gave way.
    func offer(_ frame: ByteBuffer) -> UInt64 {
        let before = queue.dropped
        queue.push(frame)
        return queue.dropped - before
    }

    /// Asks the event loop to send what waits; any thread.
    func wake() {
        guard !isScheduled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        channel.eventLoop.execute { self.drain() }
    }

    /// Sends queued frames while the socket takes them; event loop only.
    func drain() {
        channel.eventLoop.assertInEventLoop()
        isScheduled.store(false, ordering: .releasing)
        var wrote = false
        while channel.isWritable, let frame = queue.pop() {
            channel.write(frame, promise: nil)
            wrote = true
        }
        if wrote { channel.flush() }
    }

    func close() {
        channel.close(promise: nil)
    }
}
