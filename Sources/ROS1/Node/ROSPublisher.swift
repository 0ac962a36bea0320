import NIOCore
import Synchronization

/// The sending end of one topic.
package final class ROSPublisher<Message: ROSMessage>: Sendable {
    package let topic: String
    private let sender: TopicSender
    /// Size of the last frame, so that the next one is allocated in one go.
    private let sizeHint = Atomic(256)

    init(_ sender: TopicSender) {
        topic = sender.offer.topic
        self.sender = sender
    }

    /// Encodes once and hands the bytes to every subscriber; any thread, never blocks.
    ///
    /// A subscriber that cannot keep up loses its oldest waiting message, which is counted. Without
    /// subscribers nothing is encoded, unless the topic is latched.
    package func publish(_ message: Message) {
        guard sender.offer.isLatched || sender.subscriberCount > 0 else { return }
        sender.send(frame(message))
    }

    package var subscriberCount: Int { sender.subscriberCount }
    /// Messages that gave way to newer ones, over all subscribers so far.
    package var droppedCount: UInt64 { sender.droppedCount }

    private func frame(_ message: Message) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(sizeHint.load(ordering: .relaxed))
        var writer = ROSWriter(buffer)
        writer.frame(message)
        sizeHint.store(writer.buffer.readableBytes, ordering: .relaxed)
        return writer.buffer
    }
}
