import OrderedCollections

/// A message that the master owes a node.
enum MasterNotice: Sendable, Hashable {
    case publisherUpdate(topic: String, publishers: [String], to: String)
    case paramUpdate(key: String, value: XMLRPCValue, to: String)
    /// Another node took this one's name.
    case shutdown(reason: String, to: String)
}

/// Who publishes, subscribes and serves what.
///
/// Pure; `ROSMaster` owns it behind its lock.
///
/// Names arrive resolved. Each call returns what is to be told to nodes.
struct MasterRegistry: Sendable {
    /// Registrations beyond this many per kind are refused.
    static let maximumNames = 10_000

    /// Nodes by topic or service name, in order of registration.
    private typealias Providers = OrderedDictionary<String, OrderedSet<String>>

    private var nodeURIs: OrderedDictionary<String, String> = [:]
    private var publishers: Providers = [:]
    private var subscribers: Providers = [:]
    /// One provider per service; a later one takes over.
    private var services: OrderedDictionary<String, (node: String, uri: String)> = [:]
    private var topicTypes: OrderedDictionary<String, String> = [:]

    // MARK: Registration

    mutating func registerPublisher(node: String, topic: String, type: String, uri: String) throws(ROSError)
        -> (subscribers: [String], notices: [MasterNotice])
    {
        var notices = try admit(node: node, uri: uri, into: publishers.count)
        if topicTypes[topic] == nil || type != "*" { topicTypes[topic] = type }
        publishers[topic, default: []].append(node)
        notices += updates(of: topic)
        return (uris(of: subscribers[topic]), notices)
    }

    mutating func registerSubscriber(node: String, topic: String, type: String, uri: String) throws(ROSError)
        -> (publishers: [String], notices: [MasterNotice])
    {
        let notices = try admit(node: node, uri: uri, into: subscribers.count)
        if topicTypes[topic] == nil, type != "*" { topicTypes[topic] = type }
        subscribers[topic, default: []].append(node)
        return (uris(of: publishers[topic]), notices)
    }

    mutating func registerService(node: String, service: String, serviceURI: String, uri: String) throws(ROSError)
        -> [MasterNotice]
    {
        let notices = try admit(node: node, uri: uri, into: services.count)
        services[service] = (node, serviceURI)
        return notices
    }

    /// Returns whether there was something to take away.
    mutating func unregisterPublisher(node: String, topic: String, uri: String) -> (removed: Bool, [MasterNotice]) {
        guard nodeURIs[node] == uri, Self.remove(node, from: topic, in: &publishers) else { return (false, []) }
        let notices = updates(of: topic)
        forgetIfIdle(node)
        return (true, notices)
    }

    mutating func unregisterSubscriber(node: String, topic: String, uri: String) -> Bool {
        guard nodeURIs[node] == uri, Self.remove(node, from: topic, in: &subscribers) else { return false }
        forgetIfIdle(node)
        return true
    }

    mutating func unregisterService(node: String, service: String, serviceURI: String) -> Bool {
        guard let entry = services[service], entry == (node, serviceURI) else { return false }
        services[service] = nil
        forgetIfIdle(node)
        return true
    }

    // MARK: Questions

    func uri(ofNode node: String) -> String? { nodeURIs[node] }
    func uri(ofService service: String) -> String? { services[service]?.uri }

    /// Topics with a publisher below `namespace` (empty: all), with their types.
    func publishedTopics(below namespace: String) -> [(topic: String, type: String)] {
        let prefix = namespace.isEmpty || namespace.hasSuffix("/") ? namespace : namespace + "/"
        return publishers.keys.filter { $0.hasPrefix(prefix) }.map { ($0, topicTypes[$0] ?? "*") }
    }

    var allTopicTypes: [(topic: String, type: String)] { topicTypes.map { ($0.key, $0.value) } }

    /// Publishers, subscribers and services: each a list of name and node names.
    var systemState: [[(name: String, nodes: [String])]] {
        [
            publishers.map { ($0.key, Array($0.value)) }, subscribers.map { ($0.key, Array($0.value)) },
            services.map { ($0.key, [$0.value.node]) },
        ]
    }

    // MARK: Bookkeeping

    /// Notes the node's address; a node that comes back under a new one loses what the old one had registered.
    private mutating func admit(node: String, uri: String, into count: Int) throws(ROSError) -> [MasterNotice] {
        guard count < Self.maximumNames else {
            throw ROSError(.tooLarge, "the master holds \(Self.maximumNames) names already")
        }
        guard let former = nodeURIs[node], former != uri else {
            nodeURIs[node] = uri
            return []
        }
        var notices = [MasterNotice.shutdown(reason: "new node registered with same name", to: former)]
        for topic in Array(publishers.keys) where Self.remove(node, from: topic, in: &publishers) {
            notices += updates(of: topic)
        }
        for topic in Array(subscribers.keys) { _ = Self.remove(node, from: topic, in: &subscribers) }
        services.removeAll { $0.value.node == node }
        nodeURIs[node] = uri
        return notices
    }

    private func updates(of topic: String) -> [MasterNotice] {
        let publishers = uris(of: publishers[topic])
        return uris(of: subscribers[topic]).map { .publisherUpdate(topic: topic, publishers: publishers, to: $0) }
    }

    private func uris(of nodes: OrderedSet<String>?) -> [String] {
        (nodes ?? []).compactMap { nodeURIs[$0] }
    }

    private static func remove(_ node: String, from name: String, in providers: inout Providers) -> Bool {
        guard providers[name]?.remove(node) != nil else { return false }
        if providers[name]?.isEmpty == true { providers[name] = nil }
        return true
    }

    private mutating func forgetIfIdle(_ node: String) {
        let isBusy =
            publishers.values.contains { $0.contains(node) } || subscribers.values.contains { $0.contains(node) }
            || services.values.contains { $0.node == node }
        if !isBusy { nodeURIs[node] = nil }
    }
}
