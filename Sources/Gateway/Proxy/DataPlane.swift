import GrootCore
import HTTP2
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The gateway's data plane: listener, event loops, upstream pools.
///
/// Everything of a request lives on the loop that accepted its connection; only the balancer's numbers and the
/// statuses in `GatewayShared` are common to the loops.
final class DataPlane: Sendable {
    let shared: GatewayShared
    private let group: MultiThreadedEventLoopGroup
    /// In the order of the loops' indices.
    private let pools: [NIOLoopBound<UpstreamPool>]
    private let server: HTTP2Server
    private let configuration: Mutex<GatewayConfiguration>

    init(
        configuration: GatewayConfiguration,
        control: Endpoint,
        registry: MetricsRegistry,
        logger: Logger,
        orders: GatewayOrders? = nil,
        onWorkerDescribed: @escaping @Sendable (WorkerReport) -> Void = { _ in }
    ) async {
        let shared = GatewayShared(
            configuration: configuration,
            registry: registry,
            logger: logger,
            orders: orders,
            onWorkerDescribed: onWorkerDescribed
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
        var pools: [NIOLoopBound<UpstreamPool>] = []
        for loop in group.makeIterator() {
            let index = pools.count
            // Building a pool cannot fail; the loop runs until `stop`.
            let pool = try? await loop.submit {
                NIOLoopBound(
                    UpstreamPool(
                        shared: shared,
                        configuration: configuration,
                        control: control,
                        eventLoop: loop,
                        index: index
                    ),
                    eventLoop: loop
                )
            }.get()
            if let pool { pools.append(pool) }
        }
        let found = Dictionary(uniqueKeysWithValues: pools.map { (ObjectIdentifier($0.eventLoop), $0) })
        shared.run(on: pools)
        self.shared = shared
        self.group = group
        self.pools = pools
        self.configuration = Mutex(configuration)
        self.server = HTTP2Server(group: group, limits: configuration.http2, tls: configuration.tls) { loop in
            var observer = HTTP2Connection.Observer()
            observer.secured = { shared.secured($0) }
            observer.limitHit = { shared.limitHit($0, $1) }
            guard let pool = found[ObjectIdentifier(loop)]?.value else { return observer }
            let connection = ConnectionPeer(shared: shared)
            observer.admits = { peer, address in
                connection.admitted(
                    peer,
                    address: address,
                    limits: (pool.configuration.robotLimits, pool.configuration.peerLimits)
                )
            }
            observer.closed = { _ in connection.closed() }
            observer.streamOpened = { stream in ProxyRequest(stream: stream, pool: pool, connection: connection) }
            return observer
        }
    }

    /// Nil when at least one worker is up.
    var notReadyReason: String? { shared.notReadyReason }
    var workerStatuses: [GatewayShared.WorkerStatus] { shared.workerStatuses }
    var connectionCount: Int { server.connectionCount }

    /// Requests that each worker has not finished, in the order of `workerStatuses`.
    var inFlight: [Int] {
        let members = shared.members
        return shared.withScheduler { scheduler in members.map { scheduler.worker($0.id)?.inFlight ?? 0 } }
    }

    /// Returns once every event loop has taken a turn; a loop that hangs keeps it waiting.
    func takesTurns() async -> Bool {
        for pool in pools {
            guard (try? await pool.eventLoop.submit {}.get()) != nil else { return false }
        }
        return true
    }

    /// Connects to the workers and starts to listen; returns the address with the real port.
    ///
    /// - Throws: `GatewayError` with code `address`. Unreachable workers are no error: they are tried on.
    func start() async throws(GatewayError) -> Endpoint {
        for pool in pools { pool.eventLoop.execute { pool.value.start() } }
        let configuration = configuration.withLock { $0 }
        do throws(HTTP2Error) {
            return try await server.bind(to: configuration.listen)
        } catch {
            throw GatewayError(code: .address, message: error.message, cause: error.cause)
        }
    }

    /// Reads certificates, keys, authorities and revocations again, for connections from now on; those of revoked peers
    /// are closed. What cannot be used is logged and leaves what was there in force.
    func reloadCertificates() {
        let configuration = configuration.withLock { $0 }
        for source in [configuration.tls, configuration.workerTLS].compactMap(\.self) {
            do throws(HTTP2Error) {
                guard try source.reload() else { continue }
                let file = source.configuration.certificate ?? source.configuration.authority
                shared.logger.info("certificates reloaded", metadata: ["file": "\(file ?? "")"])
                server.closeRevoked()
            } catch {
                shared.logger.error("certificates not reloaded; the old ones stay", metadata: ["error": "\(error)"])
            }
        }
        shared.noteCertificateExpiry(configuration.tls)
    }

    /// Takes no more requests, finishes those in flight within the budget, and stops everything.
    func stop() async {
        await server.drain(budget: configuration.withLock { $0.drainBudget })
        for pool in pools {
            // The loop is alive until the next statement.
            try? await pool.eventLoop.submit { pool.value.stop() }.get()
        }
        do {
            try await group.shutdownGracefully()
        } catch {
            shared.logger.warning("event loops did not stop cleanly", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Members, at run time

    /// False when it is a member already or there are too many.
    ///
    /// - Parameter verifiedAs: the name that its certificate must carry; nil for the endpoint's own host.
    func add(_ endpoint: Endpoint, source: WorkerMember.Source, verifiedAs: String? = nil) -> Bool {
        let limit = configuration.withLock { $0.workerLimit }
        guard shared.members.count < limit else {
            shared.logger.error(
                "not added: there are too many workers (worker-limit)",
                metadata: ["peer": "\(endpoint)"]
            )
            return false
        }
        guard let member = shared.join(endpoint, source: source, verifiedAs: verifiedAs) else { return false }
        for pool in pools { pool.eventLoop.execute { pool.value.add(member) } }
        return true
    }

    /// Its requests finish. False when it is no member.
    func remove(_ endpoint: Endpoint) -> Bool {
        guard let member = shared.leave(endpoint) else { return false }
        shared.logger.info("leaves", metadata: ["worker": "\(member.status.name)", "peer": "\(endpoint)"])
        for pool in pools { pool.eventLoop.execute { pool.value.remove(member.id) } }
        return true
    }

    /// Gives a worker, by name or address, nothing new (or again something). False when there is none.
    func drain(_ worker: String, _ drains: Bool) -> Bool {
        guard
            let member = shared.members.first(where: { $0.status.name == worker || "\($0.endpoint)" == worker }),
            let pool = pools.first
        else { return false }
        // In force when this returns; what that sets free goes out on the loop.
        let effects = shared.withScheduler { $0.drain(member.id, drains, at: .now()) }
        pool.eventLoop.execute { pool.value.carryOut(effects) }
        member.update { $0.isDraining = drains }
        return true
    }

    /// Takes over what may change while it runs: everything but the listeners, event loops, health and HTTP/2 limits of
    /// connections that exist.
    func reconfigure(_ new: GatewayConfiguration) {
        // Certificates are read again by themselves, from the files that were named at the start.
        let new = configuration.withLock { old in
            var new = new
            new.tls = old.tls
            new.workerTLS = old.workerTLS
            old = new
            return new
        }
        _ = shared.withScheduler { $0.reconfigure(new.scheduling, at: .now()) }
        shared.configured(heldAnswerLimit: new.heldAnswerLimit)
        shared.accessLog.configure(new.accessLog)
        for pool in pools { pool.eventLoop.execute { pool.value.configuration = new } }
    }
}
