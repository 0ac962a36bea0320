import GrootCore
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The sockets, registry and master watch of a started node.
///
/// Messages have event loops of their own: whatever masters and nodes say over XML-RPC, however much of it, is read on
/// another thread. The registry sits behind a lock that any thread may take briefly; the watch is one task.
final class NodeRuntime: Sendable {
    /// One loop carries small fast messages while the other copies an image.
    private static let messageThreads = 2
    private static let watchInterval = Duration.seconds(1)

    let callerID: String
    let client: XMLRPCClient
    let master: MasterClient
    let logger: Logger
    let metrics: MetricsRegistry?
    /// Carries messages and services.
    let group: MultiThreadedEventLoopGroup
    private let serviceURI: String
    /// Carries XML-RPC.
    private let callGroup: MultiThreadedEventLoopGroup
    private let api: XMLRPCServer
    private let connections: TCPROSServer
    private let shared: SharedState
    private let watch = Mutex<Task<Void, Never>?>(nil)

    /// Binds both servers and checks that the master answers.
    init(
        callerID: String,
        masterURI: String,
        host: String,
        logger: Logger,
        metrics: MetricsRegistry?
    ) async throws(ROSError) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: Self.messageThreads)
        let callGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let shared = SharedState(logger: logger)
        let address = ROSAddress.bindable(host)
        do {
            let connections = try await TCPROSServer.start(host: address, group: group, logger: logger) { header in
                shared.registry.withLock { $0 }.role(for: header, callerID: callerID)
            }
            let port = connections.port
            let methods = NodeAPI(
                masterURI: masterURI,
                host: host,
                tcprosPort: { port },
                registry: { shared.registry.withLock { $0 } },
                superseded: { shared.supersede(reason: $0) }
            )
            let api = try await XMLRPCServer.start(host: address, port: 0, group: callGroup) {
                (method, parameters) throws(ROSError) in try methods.handle(method, parameters)
            }
            let client = XMLRPCClient(group: callGroup)
            let nodeURI = "http://\(ROSAddress(host: host, port: api.port).authority)/"
            let master = MasterClient(uri: masterURI, callerID: callerID, nodeURI: nodeURI, client: client)
            _ = try await master.call("getPid")
            self.group = group
            self.callGroup = callGroup
            self.shared = shared
            self.connections = connections
            self.api = api
            self.client = client
            self.master = master
            self.serviceURI = "rosrpc://\(ROSAddress(host: host, port: port).authority)"
        } catch {
            // The groups' own failure to stop would hide the reason that matters.
            try? await group.shutdownGracefully()
            try? await callGroup.shutdownGracefully()
            throw ROSError.wrapping(error, .unreachable, "the node cannot start")
        }
        self.callerID = callerID
        self.logger = logger
        self.metrics = metrics
        let node: @Sendable () -> NodeRuntime? = { [weak self] in self }
        watch.withLock { $0 = Task { await Self.keepRegistered(node) } }
    }

    var isSuperseded: Bool { shared.isSuperseded.load(ordering: .relaxed) }

    // MARK: Registration

    func add(_ sender: TopicSender) async throws(ROSError) {
        try shared.update { registry throws(ROSError) in try registry.add(sender) }
        do {
            try await master.register(sender.offer)
        } catch {
            shared.registry.withLock { $0.removePublication(sender.offer.topic) }
            throw error
        }
        shared.isRegistered.store(true, ordering: .releasing)
    }

    func add(_ watch: TopicWatch) async throws(ROSError) {
        try shared.update { registry throws(ROSError) in try registry.add(watch) }
        do {
            try await master.register(watch)
        } catch {
            shared.registry.withLock { $0.removeWatch(watch.topic) }
            throw error
        }
        shared.isRegistered.store(true, ordering: .releasing)
    }

    func add(_ subscription: Subscription) async throws(ROSError) {
        try shared.update { registry throws(ROSError) in try registry.add(subscription) }
        do {
            try await master.register(subscription)
        } catch {
            shared.registry.withLock { $0.removeSubscription(subscription.demand.topic) }
            await subscription.cancel()
            throw error
        }
        shared.isRegistered.store(true, ordering: .releasing)
    }

    func remove(_ subscription: Subscription) async {
        let topic = subscription.demand.topic
        let wasThere = shared.registry.withLock { registry in
            guard registry.subscriptions[topic] === subscription else { return false }
            registry.removeSubscription(topic)
            return true
        }
        await subscription.cancel()
        guard wasThere else { return }
        await unregister("unregisterSubscriber", [topic, master.nodeURI])
    }

    func add(_ service: ServiceEntry) async throws(ROSError) {
        try shared.update { registry throws(ROSError) in try registry.add(service) }
        do {
            try await master.register(service: service.name, at: serviceURI)
        } catch {
            shared.registry.withLock { $0.removeService(service.name) }
            throw error
        }
        shared.isRegistered.store(true, ordering: .releasing)
    }

    /// Unregisters everything, closes every connection and stops the event loops.
    func shutdown() async {
        let watch = watch.withLock { $0 }
        watch?.cancel()
        await watch?.value
        let registry = shared.registry.withLock { registry in
            defer { registry = NodeRegistry() }
            return registry
        }
        if !isSuperseded {
            for topic in registry.publications.keys {
                await unregister("unregisterPublisher", [topic, master.nodeURI])
            }
            for topic in Set(registry.subscriptions.keys).union(registry.watches.keys) {
                await unregister("unregisterSubscriber", [topic, master.nodeURI])
            }
            for name in registry.services.keys { await unregister("unregisterService", [name, serviceURI]) }
        }
        for subscription in registry.subscriptions.values { await subscription.cancel() }
        for sender in registry.publications.values { sender.close() }
        await api.stop()
        await connections.stop()
        do {
            try await group.shutdownGracefully()
            try await callGroup.shutdownGracefully()
        } catch {
            logger.warning("event loops did not stop cleanly", metadata: ["error": "\(error)"])
        }
    }

    /// A master that is gone needs no unregistration, so failures only leave a trace.
    private func unregister(_ method: String, _ parameters: [String]) async {
        guard !shared.isMasterGone.load(ordering: .relaxed) else { return }
        do {
            _ = try await master.call(method, parameters.map(XMLRPCValue.string), timeout: .seconds(1))
        } catch {
            if error.code != .refused { shared.isMasterGone.store(true, ordering: .relaxed) }
            logger.debug("could not unregister", metadata: ["method": "\(method)", "error": "\(error)"])
        }
    }

    // MARK: Master watch

    /// Looks at the master once a second and registers again whenever it forgot us.
    private static func keepRegistered(_ runtime: @escaping @Sendable () -> NodeRuntime?) async {
        var health = MasterHealth()
        while !Task.isCancelled {
            guard await runtime()?.look(&health) == true else { return }
            // Sleep ends early only by cancellation, which the loop condition sees.
            try? await Task.sleep(for: watchInterval)
        }
    }

    /// One look at the master; false when watching makes no sense any more.
    private func look(_ health: inout MasterHealth) async -> Bool {
        guard !isSuperseded else { return false }
        // Before the first registration has arrived the master may still know a predecessor of this name.
        let isRegistered =
            shared.isRegistered.load(ordering: .acquiring) && shared.registry.withLock { !$0.isEmpty }
        let observation = await master.observe(expectingNode: isRegistered)
        guard !Task.isCancelled else { return false }
        shared.isMasterGone.store(observation == .unreachable, ordering: .relaxed)
        switch health.observe(observation) {
        case .none: break
        case .reportLost: logger.warning("the ROS master does not answer", metadata: ["master": "\(master.uri)"])
        case .stepBack(let other):
            shared.supersede(reason: "\(callerID) is now the node at \(other)")
            return false
        case .registerAgain:
            logger.notice("registering again with the ROS master", metadata: ["master": "\(master.uri)"])
            if await !registerAll() { health.registrationFailed() }
        }
        return true
    }

    private func registerAll() async -> Bool {
        let registry = shared.registry.withLock { $0 }
        do {
            for sender in registry.publications.values { try await master.register(sender.offer) }
            for subscription in registry.subscriptions.values { try await master.register(subscription) }
            for watch in registry.watches.values { try await master.register(watch) }
            for name in registry.services.keys { try await master.register(service: name, at: serviceURI) }
            return true
        } catch {
            logger.warning("registering again failed", metadata: ["error": "\(error)"])
            return false
        }
    }
}

/// What server callbacks share with the runtime; any thread.
private final class SharedState: Sendable {
    let registry = Mutex(NodeRegistry())
    let isSuperseded = Atomic(false)
    /// The master has taken a registration of this node.
    let isRegistered = Atomic(false)
    let isMasterGone = Atomic(false)
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func update(_ change: (inout NodeRegistry) throws(ROSError) -> Void) throws(ROSError) {
        try registry.withLock { registry throws(ROSError) in try change(&registry) }
    }

    func supersede(reason: String) {
        guard !isSuperseded.exchange(true, ordering: .relaxed) else { return }
        logger.error(
            "another node has taken this node's name at the ROS master; this one steps back",
            metadata: ["reason": "\(reason.prefix(200))"]
        )
    }
}
