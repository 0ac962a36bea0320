package import GrootCore
package import ROS1

/// Who publishes one input: the one that is followed, others beside it, and those that were refused. Pure.
///
/// The first publisher that is heard is followed until its connection ends; nothing of another one is used meanwhile, so
/// that a second publisher can stop the robot but never lead it.
package struct PublisherRoster: Sendable {
    /// A refusal that is not repeated for this long is over; attempts come every two seconds at most.
    static let refusalLife = Duration.seconds(6)

    /// Connections by node name.
    private var connected: [String: Int] = [:]
    private var refused: [String: (refusal: ROSRefusal, at: MonotonicInstant)] = [:]
    package private(set) var followed: String?
    /// Of the newest connection.
    package private(set) var md5 = ""

    package init() {}

    package mutating func changed(_ event: ROSPublisherEvent, at now: MonotonicInstant) {
        switch event {
        case .connected(let publisher):
            connected[publisher.name, default: 0] += 1
            refused[publisher.name] = nil
            md5 = publisher.md5
        case .disconnected(let publisher):
            let left = (connected[publisher.name] ?? 1) - 1
            connected[publisher.name] = left > 0 ? left : nil
            if left <= 0, followed == publisher.name { followed = nil }
        case .refused(let refusal):
            refused[refusal.publisher.name] = (refusal, now)
        }
    }

    /// Whether a message of this publisher may be used; the first one heard is followed from here on.
    package mutating func heard(_ publisher: String) -> Bool {
        if followed == nil { followed = publisher }
        return followed == publisher
    }

    /// Forgets refusals that were not repeated.
    package mutating func timePassed(_ now: MonotonicInstant) {
        refused = refused.filter { now - $0.value.at < Self.refusalLife }
    }

    /// Everyone who publishes the topic, whether used or not.
    package var names: [String] { Set(connected.keys).union(refused.keys).sorted() }
    package var isConnected: Bool { !connected.isEmpty }
    package var refusal: ROSRefusal? {
        refused.min { $0.key < $1.key }?.value.refusal
    }
}
