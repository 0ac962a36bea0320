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
    private let shared: GatewayShared
    private let group: MultiThreadedEventLoopGroup
    private let pools: [ObjectIdentifier: NIOLoopBound<UpstreamPool>]
    private let server: HTTP2Server

    init(
        configuration: GatewayConfiguration,
        control: Endpoint,
        registry: MetricsRegistry,
        logger: Logger,
        onWorkerDescribed: @escaping @Sendable (WorkerReport) -> Void
    ) async {
        let shared = GatewayShared(
            configuration: configuration,
            registry: registry,
            logger: logger,
            onWorkerDescribed: onWorkerDescribed
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops)
        var pools: [ObjectIdentifier: NIOLoopBound<UpstreamPool>] = [:]
        for loop in group.makeIterator() {
            let speaks = pools.isEmpty
            // Building a pool cannot fail; the loop runs until `stop`.
            pools[ObjectIdentifier(loop)] = try? await loop.submit {
                NIOLoopBound(
                    UpstreamPool(shared: shared, control: control, eventLoop: loop, speaks: speaks),
                    eventLoop: loop
                )
            }.get()
        }
        let found = pools
        self.shared = shared
        self.group = group
        self.pools = pools
        self.server = HTTP2Server(group: group, limits: configuration.http2, tls: configuration.tls) { loop in
            var observer = HTTP2Connection.Observer()
            observer.secured = { shared.secured($0) }
            observer.limitHit = { shared.limitHit($0, $1) }
            observer.streamOpened = { stream in
                found[ObjectIdentifier(loop)].map { ProxyRequest(stream: stream, pool: $0.value) }
            }
            return observer
        }
    }

    /// Nil when at least one worker is up.
    var notReadyReason: String? { shared.notReadyReason }
    var workerStatuses: [GatewayShared.WorkerStatus] { shared.workerStatuses }
    var connectionCount: Int { server.connectionCount }

    /// Requests that each worker has not finished, in the order of `workerStatuses`.
    var inFlight: [Int] {
        shared.withBalancer { balancer in shared.configuration.workers.indices.map { balancer.inFlight($0) } }
    }

    /// Returns once every event loop has taken a turn; a loop that hangs keeps it waiting.
    func takesTurns() async -> Bool {
        for pool in pools.values {
            guard (try? await pool.eventLoop.submit {}.get()) != nil else { return false }
        }
        return true
    }

    /// Connects to the workers and starts to listen; returns the address with the real port.
    ///
    /// - Throws: `GatewayError` with code `address`. Unreachable workers are no error: they are tried on.
    func start() async throws(GatewayError) -> Endpoint {
        for pool in pools.values { pool.eventLoop.execute { pool.value.start() } }
        do throws(HTTP2Error) {
            return try await server.bind(to: shared.configuration.listen)
        } catch {
            throw GatewayError(code: .address, message: error.message, cause: error.cause)
        }
    }

    /// Reads certificates, keys, authorities and revocations again, for connections from now on; those of revoked peers
    /// are closed. What cannot be used is logged and leaves what was there in force.
    func reloadCertificates() {
        for source in [shared.configuration.tls, shared.configuration.workerTLS].compactMap(\.self) {
            do throws(HTTP2Error) {
                guard try source.reload() else { continue }
                let file = source.configuration.certificate ?? source.configuration.authority
                shared.logger.info("certificates reloaded", metadata: ["file": "\(file ?? "")"])
                server.closeRevoked()
            } catch {
                shared.logger.error("certificates not reloaded; the old ones stay", metadata: ["error": "\(error)"])
            }
        }
        shared.noteCertificateExpiry()
    }

    /// Takes no more requests, finishes those in flight within the budget, and stops everything.
    func stop() async {
        await server.drain(budget: shared.configuration.drainBudget)
        for pool in pools.values {
            // The loop is alive until the next statement.
            try? await pool.eventLoop.submit { pool.value.stop() }.get()
        }
        do {
            try await group.shutdownGracefully()
        } catch {
            shared.logger.warning("event loops did not stop cleanly", metadata: ["error": "\(error)"])
        }
    }
}
