import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootStore
import Logging
import Synchronization

/// The gateway's own gRPC server: `groot.v1.Fleet` and `grpc.health.v1.Health` on a unix socket that only this user
/// reaches, behind the data plane, and the store behind them.
///
/// Any thread; what workers said and the database does not have yet is behind a lock. The server answers from the first
/// moment and for as long as the gateway runs: while the database cannot be used, for whatever reason, it answers
/// `UNAVAILABLE`, and agents keep their telemetry.
final class FleetControlPlane: ControlPlaneService {
    /// Largest request, bytes: 10 000 records with every text at its limit do not fit, 10 000 real ones do.
    static let maxRequestBytes = 8 << 20
    /// Concurrent calls of one connection of the data plane: more than `ControlAdmission` lets in, so that who is refused
    /// hears it at once, and nobody waits for a stream.
    static let maxConcurrentCalls = 1024
    /// How soon a database server of our own that cannot run is tried again.
    private static let restartPause: Duration = .seconds(5)

    private let store: Store
    private let server: GRPCServer<CheckedHeadTransport<HTTP2ServerTransport.Posix>>
    private let socket: ControlSocket
    private let instruments: ControlInstruments
    private let memory = Mutex(WorkerMemory())
    private let described: AsyncStream<Void>
    private let somethingDescribed: AsyncStream<Void>.Continuation
    private let logger: Logger

    /// - Parameter gateway: the name that robots are told.
    /// - Throws: `GatewayError` when there is no place for its socket.
    init(
        store: Store,
        gateway: String,
        directory: WorkerDirectory? = nil,
        budgets: ControlBudgets = ControlBudgets(),
        metrics: MetricsRegistry,
        logger: Logger
    ) throws(GatewayError) {
        self.store = store
        self.logger = logger
        socket = try ControlSocket()
        instruments = ControlInstruments(metrics)
        (described, somethingDescribed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        let gate = ControlGate(budgets, instruments)
        let transport = HTTP2ServerTransport.Posix(
            address: .unixDomainSocket(path: socket.path),
            transportSecurity: .plaintext,
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = Self.maxRequestBytes
                config.http2.maxConcurrentStreams = Self.maxConcurrentCalls
                // The only client is the data plane, whose health probes must never count as abuse.
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .milliseconds(100)
            }
        )
        self.server = GRPCServer(
            transport: CheckedHeadTransport(transport),
            services: [
                FleetService(
                    store: store,
                    gateway: gateway,
                    directory: directory,
                    gate: gate,
                    instruments: instruments,
                    logger: logger
                ),
                HealthService(fleetNotReady: { store.notReadyReason }),
            ],
            interceptors: [gate]
        )
    }

    var endpoint: GrootCore.Endpoint {
        get async throws {
            // Returns once it listens.
            _ = try await server.transport.base.listeningAddress
            return .unix(path: socket.path)
        }
    }

    var notReadyReason: String? { store.notReadyReason }

    func run() async throws {
        defer { socket.remove() }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.keepStore() }
                group.addTask { try await self.server.serveToTheEnd() }
                group.addTask { try await self.saveWorkers() }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch  where Task.isCancelled {
            // Being told to stop is no failure, however the server puts it.
            logger.debug("control plane stopped", metadata: ["error": "\(error)"])
        }
    }

    /// Runs the store. What it cannot go on with is said, and tried again: inference does not depend on it.
    private func keepStore() async throws {
        while true {
            do {
                try await store.run()
                return
            } catch let error as StoreError {
                logger.error(
                    "database cannot be used; inference goes on without it, agents keep their telemetry",
                    metadata: ["fault": "\(error.fault.rawValue)", "error": "\(error)"]
                )
            }
            try await Task.sleep(for: Self.restartPause)
        }
    }

    /// Kept here until it is stored, with what the worker said before: the caller need not tell it again.
    func workerDescribed(_ report: WorkerReport) {
        let record = WorkerRecord(report)
        note { $0.described(record) }
        somethingDescribed.yield()
    }

    private func note(_ change: (inout WorkerMemory) -> Void) {
        let waiting = memory.withLock { memory in
            change(&memory)
            return memory.count
        }
        instruments.waiting(waiting)
    }

    /// Takes what workers said into the database, as soon as there is one.
    private func saveWorkers() async throws {
        for await _ in described {
            while let worker = memory.withLock({ $0.next }) {
                do throws(StoreError) {
                    try await store.saveWorker(worker)
                    note { $0.settled(worker) }
                } catch {
                    guard error.code == .invalidValue else {
                        // It is there when the store is ready; until then there is nothing to do.
                        try await Task.sleep(for: .milliseconds(250))
                        continue
                    }
                    note { $0.settled(worker) }
                    logger.warning(
                        "worker not recorded",
                        metadata: ["worker": "\(worker.worker)", "error": "\(error)"]
                    )
                }
            }
        }
    }
}
