import GrootCore
import Logging
import NIOCore
import Synchronization

/// Keeps one connection per publisher of a topic, each retried with growing pauses while the master lists it.
///
/// A connection that stands outlives the listing: a master that was restarted knows nobody at first, and publishers
/// close their connections themselves when they stop.
///
/// Any thread; one task per publisher owns its connection.
final class Subscription: Sendable {
    fileprivate struct State {
        struct Link {
            var number: Int
            var task: Task<Void, Never>
        }

        var links: [String: Link] = [:]
        /// Publishers in the master's newest list.
        var listed: Set<String> = []
        /// Numbers of the followers whose connection stands.
        var connected: Set<Int> = []
        var followers = 0
        var updates = 0
        var isCancelled = false
    }

    let demand: TopicDemand
    private let callerID: String
    private let client: XMLRPCClient
    /// Loops that carry messages, apart from those of the client.
    private let group: any EventLoopGroup
    private let logger: Logger
    private let state = Mutex(State())

    init(
        demand: TopicDemand,
        callerID: String,
        client: XMLRPCClient,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.demand = demand
        self.callerID = callerID
        self.client = client
        self.group = group
        self.logger = logger
    }

    var connectedCount: Int { state.withLock { $0.connected.count } }
    /// How often the publisher list changed; see `adopt(_:unlessUpdatedSince:)`.
    var updateCount: Int { state.withLock { $0.updates } }

    /// Takes the master's list as the whole truth: connects to new publishers, leaves those that are gone.
    func update(publishers: [String]) {
        state.withLock { $0.replace(with: publishers, start: start) }
    }

    /// Takes a registration's answer unless a newer list has arrived while the answer travelled.
    func adopt(_ publishers: [String], unlessUpdatedSince count: Int) {
        state.withLock { state in
            if state.updates == count { state.replace(with: publishers, start: start) }
        }
    }

    func cancel() async {
        let links = state.withLock { state in
            state.isCancelled = true
            defer { state.links = [:] }
            return state.links.values.map(\.task)
        }
        for link in links { link.cancel() }
        for link in links { await link.value }
    }

    private func start(_ uri: String, number: Int) -> Task<Void, Never> {
        Task { [self] in await follow(uri, number: number) }
    }

    /// Stays with one publisher until cancelled, or until it is neither listed nor connected.
    private func follow(_ uri: String, number: Int) async {
        var backoff = RetryBackoff()
        var trouble = ConnectionTrouble()
        while !Task.isCancelled {
            let stood = Mutex<(publisher: ROSPublisherDescription, since: MonotonicInstant)?>(nil)
            let reason: ROSError?
            do throws(ROSError) {
                try await connect(to: uri) { [self] publisher in
                    stood.withLock { $0 = (publisher, .now()) }
                    state.withLock { state in
                        _ = state.connected.insert(number)
                    }
                    demand.publishers?(.connected(publisher))
                }
                reason = nil
            } catch {
                reason = error
            }
            let connection = stood.withLock { $0 }
            let goesOn = state.withLock { $0.disconnected(uri, number: number) }
            if let connection { demand.publishers?(.disconnected(connection.publisher)) }
            guard goesOn, !Task.isCancelled else { return }
            let lasted = connection.map { MonotonicInstant.now() - $0.since }
            if let lasted, lasted >= ConnectionTrouble.standing { backoff.succeeded() }
            if let text = trouble.ended(after: lasted, because: reason) {
                logger.warning(
                    "\(text); trying again",
                    metadata: [
                        "topic": "\(demand.topic)", "publisher": "\(uri)", "error": "\(reason.map { "\($0)" } ?? "-")",
                    ]
                )
            }
            // Sleep ends early only by cancellation, which the loop condition sees.
            try? await Task.sleep(for: backoff.pause())
        }
    }

    private func connect(
        to uri: String,
        accepted: @escaping @Sendable (ROSPublisherDescription) -> Void
    ) async throws(ROSError) {
        let protocols = XMLRPCValue.array([.array([.string("TCPROS")])])
        let offer = try await client.callROS(
            "requestTopic",
            [.string(callerID), .string(demand.topic), protocols],
            at: uri
        )
        guard let parts = offer.array, parts.count >= 3, parts[0].string == "TCPROS", let host = parts[1].string,
            let port = parts[2].int, (1...65535).contains(port)
        else { throw ROSError(.malformed, "\(uri) offered no TCPROS address for \(demand.topic)") }
        try await PublisherConnection.run(
            to: ROSAddress(host: host, port: port),
            demand: demand,
            callerID: callerID,
            group: group,
            logger: logger,
            accepted: accepted
        )
    }
}

extension Subscription.State {
    mutating func replace(with publishers: [String], start: (String, Int) -> Task<Void, Never>) {
        guard !isCancelled else { return }
        updates += 1
        listed = Set(publishers)
        for (uri, link) in links where !listed.contains(uri) && !connected.contains(link.number) {
            link.task.cancel()
            links[uri] = nil
        }
        for uri in listed where links[uri] == nil {
            followers += 1
            links[uri] = Link(number: followers, task: start(uri, followers))
        }
    }

    /// Whether to connect again.
    mutating func disconnected(_ uri: String, number: Int) -> Bool {
        connected.remove(number)
        if listed.contains(uri) { return true }
        if links[uri]?.number == number { links[uri] = nil }
        return false
    }
}
