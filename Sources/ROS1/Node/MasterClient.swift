/// The master's API as seen by one node; any task.
struct MasterClient: Sendable {
    let uri: String
    let callerID: String
    let nodeURI: String
    let client: XMLRPCClient

    func call(
        _ method: String,
        _ parameters: [XMLRPCValue] = [],
        timeout: Duration = XMLRPCClient.defaultTimeout
    ) async throws(ROSError) -> XMLRPCValue {
        try await client.callROS(method, [.string(callerID)] + parameters, at: uri, timeout: timeout)
    }

    func register(_ publication: TopicOffer) async throws(ROSError) {
        let parameters = [publication.topic, publication.type, nodeURI].map(XMLRPCValue.string)
        _ = try await call("registerPublisher", parameters)
    }

    func register(_ subscription: Subscription) async throws(ROSError) {
        let demand = subscription.demand
        let before = subscription.updateCount
        let parameters = [demand.topic, demand.type, nodeURI].map(XMLRPCValue.string)
        let publishers = try await call("registerSubscriber", parameters).strings ?? []
        subscription.adopt(publishers, unlessUpdatedSince: before)
    }

    /// Registers as a subscriber that never connects, to be told of every change of the topic's publishers.
    func register(_ watch: TopicWatch) async throws(ROSError) {
        _ = try await call("registerSubscriber", [watch.topic, watch.type, nodeURI].map(XMLRPCValue.string))
    }

    func register(service name: String, at serviceURI: String) async throws(ROSError) {
        _ = try await call("registerService", [name, serviceURI, nodeURI].map(XMLRPCValue.string))
    }

    /// `rosrpc://host:port` of whoever offers the service.
    ///
    /// - Throws: `notFound` when nobody does.
    func lookUp(service name: String, timeout: Duration) async throws(ROSError) -> ROSAddress {
        let value: XMLRPCValue
        do {
            value = try await call("lookupService", [.string(name)], timeout: timeout)
        } catch {
            guard error.code == .refused else { throw error }
            throw ROSError(.notFound, "no node offers the service \(name)", cause: error)
        }
        return try ROSAddress(parsing: value.string ?? "", scheme: "rosrpc", defaultPort: 0)
    }

    /// Address of the node of this name; nil when the master knows none.
    func lookUp(node name: String, timeout: Duration) async throws(ROSError) -> String? {
        do {
            return try await call("lookupNode", [.string(name)], timeout: timeout).string
        } catch  where error.code == .refused {
            return nil
        }
    }

    /// Asks who the master is and whether it knows us.
    func observe(expectingNode: Bool) async -> MasterHealth.Observation {
        do {
            guard let pid = try await call("getPid", timeout: .seconds(2)).int else { return .unreachable }
            guard expectingNode else { return .answered(pid: pid, node: .notAsked) }
            guard let known = try await lookUp(node: callerID, timeout: .seconds(2)) else {
                return .answered(pid: pid, node: .nobody)
            }
            return .answered(pid: pid, node: known == nodeURI ? .us : .another(known))
        } catch {
            return .unreachable
        }
    }
}
