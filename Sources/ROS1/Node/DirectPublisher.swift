/// The sending end of a topic whose messages leave on the caller's thread, at the moment of the call.
///
/// For commands: no event loop lies between the caller and the subscribers' sockets, nothing waits in a queue, and nothing
/// is allocated once the first message is out (as long as encoding the message allocates nothing).
package final class DirectPublisher<Message: ROSMessage>: Sendable {
    package let topic: String
    private let subscribers: DirectSubscribers

    init(topic: String, _ subscribers: DirectSubscribers) {
        self.topic = topic
        self.subscribers = subscribers
    }

    /// Writes the message to every subscriber; one thread, never waits.
    ///
    /// A subscriber that takes nothing misses messages, which are counted, and is disconnected after a second.
    package func publish(_ message: Message) { subscribers.send(message) }

    package var subscriberCount: Int { subscribers.count }
    /// Messages left out because a subscriber was behind, over all subscribers so far.
    package var leftOutCount: UInt64 { subscribers.leftOutCount }
}
