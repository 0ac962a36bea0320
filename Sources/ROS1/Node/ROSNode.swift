package import GrootCore
package import Logging
import NIOCore
import Synchronization

/// One ROS 1 node: topics out and in, services out and in, registered with a master and kept so.
///
/// Any task or thread. The node needs no ROS installation and publishes no `/rosout`. After `start` it
/// registers everything again whenever the master restarts, and reconnects to publishers that do.
package final class ROSNode: Sendable {
    private enum Phase {
        case idle
        case starting
        case running(NodeRuntime)
        case stopped
    }

    package let name: String
    package let masterURI: String
    private let host: String
    private let logger: Logger
    private let metrics: MetricsRegistry?
    private let phase = Mutex(Phase.idle)

    /// - Parameters:
    ///   - masterURI: `http://host:port`.
    ///   - host: the address to bind, and the one that other nodes are told.
    package init(
        name: String,
        masterURI: String,
        host: String = "127.0.0.1",
        logger: Logger,
        metrics: MetricsRegistry? = nil
    ) {
        self.name = name
        self.masterURI = masterURI
        self.host = host
        var logger = logger
        logger[metadataKey: "ros_node"] = "\(name)"
        self.logger = logger
        self.metrics = metrics
    }

    /// Binds the node's sockets and checks that the master answers.
    ///
    /// - Throws: `unreachable` or `timeout` without a master, `invalidUse` for a bad name or a second start.
    package func start() async throws(ROSError) {
        let callerID = try ROSName.global(name)
        let isFirst = phase.withLock { phase in
            guard case .idle = phase else { return false }
            phase = .starting
            return true
        }
        guard isFirst else { throw ROSError(.invalidUse, "the node \(name) has been started before") }
        do {
            let runtime = try await NodeRuntime(
                callerID: callerID,
                masterURI: masterURI,
                host: host,
                logger: logger,
                metrics: metrics
            )
            phase.withLock { $0 = .running(runtime) }
        } catch {
            phase.withLock { $0 = .idle }
            throw error
        }
    }

    /// Unregisters everything and closes all connections; idempotent.
    ///
    /// The node cannot be started again.
    package func shutdown() async {
        let runtime = phase.withLock { phase -> NodeRuntime? in
            defer { phase = .stopped }
            if case .running(let runtime) = phase { return runtime }
            return nil
        }
        await runtime?.shutdown()
    }

    /// True when the master told this node to go because another one took its name.
    package var isSuperseded: Bool {
        phase.withLock { phase in
            if case .running(let runtime) = phase { return runtime.isSuperseded }
            return false
        }
    }

    /// Offers a topic.
    ///
    /// - Parameters:
    ///   - latched: repeat the last message to every new subscriber.
    ///   - queue: messages that may wait per subscriber before the oldest is dropped.
    package func advertise<M: ROSMessage>(
        _ topic: String,
        as type: M.Type,
        latched: Bool = false,
        queue: Int = 10
    ) async throws(ROSError) -> ROSPublisher<M> {
        let runtime = try running()
        guard queue > 0 else { throw ROSError(.invalidUse, "a publisher's queue holds at least one message") }
        let offer = TopicOffer(
            topic: try ROSName.global(topic),
            type: M.rosType,
            md5: M.md5,
            definition: M.definition,
            isLatched: latched,
            queueCapacity: queue
        )
        let sender = TopicSender(offer: offer, metrics: metrics)
        try await runtime.add(sender)
        return ROSPublisher(sender)
    }

    /// Offers a topic whose messages are written to the subscribers' sockets by the thread that publishes them.
    package func advertiseDirect<M: ROSMessage>(
        _ topic: String,
        as type: M.Type
    ) async throws(ROSError) -> DirectPublisher<M> {
        let runtime = try running()
        let offer = TopicOffer(
            topic: try ROSName.global(topic),
            type: M.rosType,
            md5: M.md5,
            definition: M.definition,
            isLatched: false,
            queueCapacity: 1
        )
        let subscribers = DirectSubscribers(topic: offer.topic, metrics: metrics)
        try await runtime.add(TopicSender(offer: offer, direct: subscribers, metrics: metrics))
        return DirectPublisher(topic: offer.topic, subscribers)
    }

    /// Follows a topic: every publisher, present and future, whose type and fingerprint are known.
    ///
    /// `handler` and `publishers` run on the connection's event loop and must not block.
    ///
    /// - Parameter publishers: hears of every publisher that comes, goes or is refused.
    package func subscribe<M: ROSMessage>(
        _ topic: String,
        to type: M.Type,
        publishers: (@Sendable (ROSPublisherEvent) -> Void)? = nil,
        handler: @escaping @Sendable (M, ROSReceipt) -> Void
    ) async throws(ROSError) -> ROSSubscription {
        let runtime = try running()
        let topic = try ROSName.global(topic)
        let received = metrics?.counter(
            "groot_ros_subscriber_received_messages_total",
            help: "Messages received",
            labels: ["topic": topic]
        )
        let undecodable = metrics?.counter(
            "groot_ros_subscriber_undecodable_messages_total",
            help: "Messages whose bytes do not form their type",
            labels: ["topic": topic]
        )
        let demand = TopicDemand(
            topic: topic,
            type: M.rosType,
            acceptedMD5s: [M.md5] + M.variantMD5s,
            publishers: publishers
        ) {
            (body, receipt) throws(ROSError) in
            let message: M
            do throws(ROSError) {
                message = try M(decoding: body)
            } catch {
                undecodable?.increment()
                throw error
            }
            received?.increment()
            handler(message, receipt)
        }
        let subscription = Subscription(
            demand: demand,
            callerID: runtime.callerID,
            client: runtime.client,
            group: runtime.group,
            logger: logger
        )
        try await runtime.add(subscription)
        return ROSSubscription(subscription, runtime: runtime)
    }

    func running() throws(ROSError) -> NodeRuntime {
        switch phase.withLock({ $0 }) {
        case .running(let runtime): return runtime
        case .stopped: throw ROSError(.shutDown, "the node \(name) has been shut down")
        case .idle, .starting: throw ROSError(.invalidUse, "start the node \(name) first")
        }
    }
}
