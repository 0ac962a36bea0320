/// Everything one node offers and follows; pure bookkeeping, owned by `NodeRuntime` behind its lock.
struct NodeRegistry: Sendable {
    private(set) var publications: [String: TopicSender] = [:]
    private(set) var subscriptions: [String: Subscription] = [:]
    private(set) var services: [String: ServiceEntry] = [:]
    private(set) var watches: [String: TopicWatch] = [:]

    mutating func add(_ sender: TopicSender) throws(ROSError) {
        guard publications[sender.offer.topic] == nil else { throw twice("topic", sender.offer.topic, "advertised") }
        publications[sender.offer.topic] = sender
    }

    mutating func add(_ subscription: Subscription) throws(ROSError) {
        let topic = subscription.demand.topic
        guard subscriptions[topic] == nil else { throw twice("topic", topic, "subscribed to") }
        subscriptions[topic] = subscription
    }

    mutating func add(_ service: ServiceEntry) throws(ROSError) {
        guard services[service.name] == nil else { throw twice("service", service.name, "advertised") }
        services[service.name] = service
    }

    mutating func add(_ watch: TopicWatch) throws(ROSError) {
        guard watches[watch.topic] == nil else { throw twice("topic", watch.topic, "watched") }
        watches[watch.topic] = watch
    }

    mutating func removePublication(_ topic: String) { publications[topic] = nil }
    mutating func removeSubscription(_ topic: String) { subscriptions[topic] = nil }
    mutating func removeWatch(_ topic: String) { watches[topic] = nil }
    mutating func removeService(_ name: String) { services[name] = nil }

    var isEmpty: Bool { publications.isEmpty && subscriptions.isEmpty && services.isEmpty && watches.isEmpty }

    /// Decides what an incoming TCPROS connection gets.
    func role(for header: ConnectionHeader, callerID: String) -> InboundRole {
        do {
            if let name = header["service"] {
                guard let service = services[name] else {
                    throw ROSError(.notFound, "\(callerID) offers no service [\(name)]")
                }
                return .client(of: service, reply: try service.reply(to: header, callerID: callerID))
            }
            if let topic = header["topic"] {
                guard let sender = publications[topic] else {
                    throw ROSError(.notFound, "\(callerID) does not publish topic [\(topic)]")
                }
                return .subscriber(of: sender, reply: try sender.reply(to: header, callerID: callerID))
            }
            throw ROSError(.malformed, "missing field [topic] or [service] in the connection header")
        } catch {
            let message = ROSError.wrapping(error, .refused, "the connection cannot be served").message
            return .refused(.refusal(message))
        }
    }

    private func twice(_ kind: String, _ name: String, _ verb: String) -> ROSError {
        ROSError(.invalidUse, "\(kind) \(name) is already \(verb) by this node")
    }
}
