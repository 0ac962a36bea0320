/// The sending end of one topic.
package final class ROSPublisher<Message: ROSMessage>: Sendable {
    package let topic: String

    init(topic: String) {
        self.topic = topic
    }

    /// Encodes once and hands the bytes to every subscriber; any thread, never blocks.
    ///
    /// A subscriber that cannot keep up loses its oldest waiting message, which is counted.
    package func publish(_ message: Message) {}

    package var subscriberCount: Int { 0 }
}
