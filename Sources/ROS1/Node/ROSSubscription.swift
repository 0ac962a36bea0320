/// The receiving end of one topic; `cancel` ends it, dropping the last reference does not.
package final class ROSSubscription: Sendable {
    package let topic: String

    init(topic: String) {
        self.topic = topic
    }

    /// Number of publishers connected right now.
    package var publisherCount: Int { 0 }

    package func cancel() async {}
}
