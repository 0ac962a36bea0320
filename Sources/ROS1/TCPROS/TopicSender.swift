import GrootCore
import NIOCore
import Synchronization

/// What a topic of ours is, and how it treats its subscribers.
struct TopicOffer: Sendable {
    var topic: String
    var type: String
    var md5: String
    var definition: String
    var isLatched: Bool
    /// Messages that may wait per subscriber.
    var queueCapacity: Int
}

/// Fans encoded frames of one topic out to its subscribers; any thread, one lock, never held over I/O.
final class TopicSender: Sendable {
    private struct State {
        var links: [ObjectIdentifier: SubscriberLink] = [:]
        var latched: ByteBuffer?
        var dropped: UInt64 = 0
        var isClosed = false
    }

    let offer: TopicOffer
    /// The subscribers of a topic without queues, whose messages leave on the publishing thread; nil for any other.
    let direct: DirectSubscribers?
    private let state = Mutex(State())
    private let droppedCounter: Counter?

    init(offer: TopicOffer, direct: DirectSubscribers? = nil, metrics: MetricsRegistry?) {
        self.offer = offer
        self.direct = direct
        droppedCounter = Self.droppedCounter(of: offer.topic, metrics)
    }

    static func droppedCounter(of topic: String, _ metrics: MetricsRegistry?) -> Counter? {
        metrics?.counter(
            "groot_ros_publisher_dropped_messages_total",
            help: "Messages dropped because a subscriber did not keep up",
            labels: ["topic": topic]
        )
    }

    var subscriberCount: Int { direct?.count ?? state.withLock { $0.links.count } }
    var droppedCount: UInt64 { state.withLock { $0.dropped } }

    /// Queues one framed message for every subscriber.
    func send(_ frame: ByteBuffer) {
        var dropped: UInt64 = 0
        let links = state.withLock { state -> [SubscriberLink] in
            guard !state.isClosed else { return [] }
            if offer.isLatched { state.latched = frame }
            for link in state.links.values { dropped += link.offer(frame) }
            state.dropped += dropped
            return Array(state.links.values)
        }
        if dropped > 0 { droppedCounter?.increment(by: dropped) }
        for link in links { link.wake() }
    }

    /// Takes in a subscriber; a latched topic repeats its last message to it.
    ///
    /// False after `close`.
    func add(_ link: SubscriberLink) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            if let latched = state.latched { _ = link.offer(latched) }
            state.links[ObjectIdentifier(link)] = link
            return true
        }
    }

    func remove(_ link: SubscriberLink) {
        state.withLock { state in
            _ = state.links.removeValue(forKey: ObjectIdentifier(link))
        }
    }

    func close() {
        let links = state.withLock { state -> [SubscriberLink] in
            state.isClosed = true
            defer { state.links = [:] }
            return Array(state.links.values)
        }
        for link in links { link.close() }
        direct?.close()
    }

    /// The header that answers a subscriber, or why it cannot have this topic.
    func reply(to header: ConnectionHeader, callerID: String) throws(ROSError) -> ConnectionHeader {
        let wanted = (type: header["type"] ?? ConnectionHeader.wildcard, md5: header["md5sum"])
        guard let md5 = wanted.md5 else {
            throw ROSError(.malformed, "missing field [md5sum] in the connection header")
        }
        guard md5 == ConnectionHeader.wildcard || md5 == offer.md5 else {
            throw ROSError(
                .typeMismatch,
                "topic \(offer.topic) has md5sum \(offer.md5) (\(offer.type)), the subscriber wants \(md5) (\(wanted.type))"
            )
        }
        guard wanted.type == ConnectionHeader.wildcard || wanted.type == offer.type else {
            throw ROSError(.typeMismatch, "topic \(offer.topic) is \(offer.type), the subscriber wants \(wanted.type)")
        }
        return ConnectionHeader([
            "callerid": callerID, "topic": offer.topic, "type": offer.type, "md5sum": offer.md5,
            "message_definition": offer.definition, "latching": offer.isLatched ? "1" : "0",
        ])
    }
}
