extension ROSNode {
    /// Process id of another node, when the master knows it and it answers; nil otherwise.
    ///
    /// A node that died without a goodbye stays known to the master, and does not answer.
    package func processIdentifier(ofNode other: String, timeout: Duration = .seconds(2)) async -> Int? {
        do {
            let runtime = try running()
            let address = try await runtime.master.call("lookupNode", [.string(other)], timeout: timeout).string
            guard let address else { return nil }
            return try await runtime.client.callROS("getPid", [.string(name)], at: address, timeout: timeout).int
        } catch {
            return nil
        }
    }
}
