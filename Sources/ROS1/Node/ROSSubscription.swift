/// The receiving end of one topic; `cancel` ends it, dropping the last reference does not.
package final class ROSSubscription: Sendable {
    package let topic: String
    private let subscription: Subscription
    private let runtime: NodeRuntime

    init(_ subscription: Subscription, runtime: NodeRuntime) {
        topic = subscription.demand.topic
        self.subscription = subscription
        self.runtime = runtime
    }

    /// Number of publishers connected right now.
    package var publisherCount: Int { subscription.connectedCount }

    /// Leaves all publishers and unregisters; no handler call begins after this returns.
    package func cancel() async {
        await runtime.remove(subscription)
    }
}
