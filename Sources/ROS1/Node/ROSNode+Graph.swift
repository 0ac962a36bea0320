import GrootCore

/// Who publishes and subscribes to what, as the master lists it: names, not proof that they live.
package struct ROSGraph: Sendable, Equatable {
    /// Node names by topic.
    package var publishers: [String: [String]]
    package var subscribers: [String: [String]]

    package init(publishers: [String: [String]] = [:], subscribers: [String: [String]] = [:]) {
        self.publishers = publishers
        self.subscribers = subscribers
    }
}

extension ROSNode {
    /// How long a node may take to say that it lives; one that does not answer in time counts as living.
    private static let lifeTime = Duration.seconds(1)

    /// The master's list of publishers and subscribers.
    package func graph(timeout: Duration = .seconds(2)) async throws(ROSError) -> ROSGraph {
        let value = try await running().master.call("getSystemState", timeout: timeout)
        guard let kinds = value.array, kinds.count >= 2 else {
            throw ROSError(.malformed, "the master's system state is not made of publishers, subscribers and services")
        }
        return ROSGraph(publishers: try Self.nodes(kinds[0]), subscribers: try Self.nodes(kinds[1]))
    }

    /// Whether a node of this name is registered and alive: one that died without signing off stays registered.
    package func isAlive(node name: String) async throws(ROSError) -> Bool {
        let runtime = try running()
        guard let uri = try await runtime.master.lookUp(node: name, timeout: Self.lifeTime) else { return false }
        do throws(ROSError) {
            _ = try await runtime.client.callROS(
                "getPid",
                [.string(runtime.callerID)],
                at: uri,
                timeout: Self.lifeTime
            )
            return true
        } catch {
            // Nobody listens at its address. Whoever is slow, or answers oddly, is there.
            return error.code != .unreachable && error.code != .invalidUse
        }
    }

    /// Calls `changed` whenever a node begins or ceases to publish `topic`, which this node need not follow.
    package func watchPublishers(
        of topic: String,
        type: String,
        changed: @escaping @Sendable () -> Void
    ) async throws(ROSError) {
        try await running().add(TopicWatch(topic: try ROSName.global(topic), type: type, changed: changed))
    }

    private static func nodes(_ kind: XMLRPCValue) throws(ROSError) -> [String: [String]] {
        var nodes: [String: [String]] = [:]
        for entry in kind.array ?? [] {
            guard let pair = entry.array, pair.count == 2, let topic = pair[0].string, let names = pair[1].strings
            else {
                throw ROSError(.malformed, "the master's system state is not made of topics and node names")
            }
            nodes[topic] = names
        }
        return nodes
    }
}
