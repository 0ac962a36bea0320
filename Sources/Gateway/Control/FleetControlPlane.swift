import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootStore
import Logging

/// The gateway's own gRPC server: `groot.v1.Fleet` and `grpc.health.v1.Health` on a loopback port that only the data
/// plane is meant to reach, and the store behind them.
///
/// Any thread; it has no state of its own. The server answers from the first moment; until the database is there it
/// answers `UNAVAILABLE`, and agents keep their telemetry.
struct FleetControlPlane: ControlPlaneService {
    /// Largest request, bytes: 10 000 records with every text at its limit do not fit, 10 000 real ones do.
    static let maxRequestBytes = 8 << 20
    /// Concurrent calls of one connection of the data plane.
    static let maxConcurrentCalls = 256

    private let store: Store
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let logger: Logger

    /// - Parameter gateway: the name that robots are told.
    /// - Parameter port: 0 lets the system choose.
    init(store: Store, gateway: String, port: Int = 0, directory: WorkerDirectory? = nil, logger: Logger) {
        self.store = store
        self.logger = logger
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: port),
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
            transport: transport,
            services: [
                FleetService(store: store, gateway: gateway, directory: directory, logger: logger),
                HealthService(fleetNotReady: { store.notReadyReason }),
            ]
        )
    }

    var endpoint: GrootCore.Endpoint {
        get async throws {
            let address = try await server.transport.listeningAddress
            guard let ipv4 = address.ipv4 else {
                throw RPCError(code: .internalError, message: "the control plane does not listen on IPv4: \(address)")
            }
            return .tcp(host: ipv4.host, port: ipv4.port)
        }
    }

    var notReadyReason: String? { store.notReadyReason }

    func run() async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await store.run() }
                group.addTask { try await server.serve() }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch  where Task.isCancelled {
            // Being told to stop is no failure, however the server puts it.
            logger.debug("control plane stopped", metadata: ["error": "\(error)"])
        }
    }

    func workerDescribed(_ report: WorkerReport) async -> Bool {
        guard store.notReadyReason == nil else { return false }
        do throws(StoreError) {
            try await store.saveWorker(WorkerRecord(report))
            return true
        } catch {
            // It is told again; inference does not depend on it.
            logger.info("worker not recorded", metadata: ["worker": "\(report.name)", "error": "\(error)"])
            return false
        }
    }
}
