import GrootCore
import ROS1

/// Asks the ROS master who else publishes the commanded topics and who listens to them.
///
/// Owned by the one task that asks. The master lists names, also of nodes that died without signing off: whether a node lives
/// is asked of itself, and remembered for a while.
struct CommandGraph: Sendable {
    /// A node that lived is not asked again for this long.
    private static let lifeMemory = Duration.seconds(5)

    /// Nodes that look on and never move an arm, by the beginnings of their names.
    private static let spectators = [
        "/groot_agent_", "/groot_check_", "/groot_guard_", "/rostopic_", "/record_", "/rosbag_record", "/rqt", "/rviz",
        "/plotjuggler",
    ]

    let node: ROSNode
    let topics: [String]
    private var living: [String: MonotonicInstant] = [:]

    init(node: ROSNode, topics: [String]) {
        self.node = node
        self.topics = topics
    }

    /// - Throws: when the master does not answer; what was known stays true.
    mutating func look() async throws(ROSError) -> [InputContract.CommandTopic] {
        guard !topics.isEmpty else { return [] }
        let graph = try await node.graph()
        var seen: [InputContract.CommandTopic] = []
        for topic in topics {
            let others = (graph.publishers[topic] ?? []).filter { $0 != node.name }
            let listeners = (graph.subscribers[topic] ?? []).filter { name in
                !Self.spectators.contains { name.hasPrefix($0) }
            }
            seen.append(.init(topic: topic, others: await alive(others), listeners: await alive(listeners)))
        }
        return seen
    }

    private mutating func alive(_ names: [String]) async -> [String] {
        var alive: [String] = []
        for name in names.sorted() {
            let now = MonotonicInstant.now()
            if let last = living[name], now - last < Self.lifeMemory {
                alive.append(name)
                continue
            }
            // A master that fails now says nothing about the node: it counts as alive.
            if (try? await node.isAlive(node: name)) ?? true {
                living[name] = now
                alive.append(name)
            } else {
                living[name] = nil
            }
        }
        return alive
    }
}
