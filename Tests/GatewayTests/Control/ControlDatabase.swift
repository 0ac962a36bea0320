import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import GrootStore
import Logging
import Synchronization
import Testing

@testable import Gateway

/// A throw-away database server that a test can stop and start, and a control plane on it.
actor ControlDatabase {
    /// Under `CI=true` a missing server must fail, so the tests run anyway.
    static let mayRun: Bool = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let directories =
            versions.map { "\(root)/\($0)/bin" }
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return ProcessInfo.processInfo.environment["CI"] == "true"
            || directories.contains { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") }
    }()

    private let cluster: EmbeddedCluster
    private var running: Task<Void, any Error>?

    private init(directory: String) {
        var tuning = EmbeddedCluster.Tuning()
        tuning.syncToDisk = false
        cluster = EmbeddedCluster(stateDirectory: directory, tuning: tuning, logger: Logger(label: "test"))
    }

    static func use(_ name: String, _ body: (ControlDatabase) async throws -> Void) async throws {
        let directory = "/tmp/groot-control-tests-\(ProcessInfo.processInfo.processIdentifier)-\(name)"
        let database = ControlDatabase(directory: directory)
        await database.start()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(database))
        } catch {
            result = .failure(error)
        }
        await database.stop()
        try FileManager.default.removeItem(atPath: directory)
        try result.get()
    }

    func start() {
        running = Task { [cluster] in try await cluster.run() }
    }

    func stop() async {
        running?.cancel()
        _ = await running?.result
    }

    typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

    nonisolated func serving(_ body: @escaping @Sendable (Store, Client) async throws -> Void) async throws {
        try await serving { store, client, _ in try await body(store, client) }
    }

    nonisolated func serving(
        budgets: ControlBudgets = ControlBudgets(),
        metrics: MetricsRegistry = MetricsRegistry(),
        waiting: Bool = true,
        _ body: @escaping @Sendable (Store, Client, FleetControlPlane) async throws -> Void
    ) async throws {
        var configuration = StoreConfiguration(
            location: .server(url: cluster.conninfo(database: "postgres"), migrate: true)
        )
        configuration.probeInterval = .milliseconds(50)
        let logger = Logger(label: "test")
        let store = Store(configuration: configuration, logger: logger, metrics: metrics)
        let control = try FleetControlPlane(
            store: store,
            gateway: "g1",
            directory: WorkerDirectory(.init(), logger: logger),
            budgets: budgets,
            metrics: metrics,
            logger: logger
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await control.run() }
            guard case .unix(let path) = try await control.endpoint else {
                throw RPCError(code: .internalError, message: "no unix socket")
            }
            if waiting { try await store.waitUntilReady(timeout: .seconds(60)) }
            let transport = try HTTP2ClientTransport.Posix(
                target: .unixDomainSocket(path: path),
                transportSecurity: .plaintext
            )
            try await withGRPCClient(transport: transport) { client in try await body(store, client, control) }
            group.cancelAll()
            // run() ends with the cancellation that was asked for.
            try? await group.waitForAll()
        }
    }
}

/// Polls until `condition` holds; throws when it does not within 20 s.
func reached(_ what: String, _ condition: () -> Bool) async throws {
    let deadline = MonotonicInstant.now() + .seconds(20)
    while !condition() {
        guard MonotonicInstant.now() < deadline else { throw RPCError(code: .deadlineExceeded, message: what) }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// The same for conditions that are asked for.
func reachedEventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = MonotonicInstant.now() + .seconds(20)
    while try await !condition() {
        guard MonotonicInstant.now() < deadline else { throw RPCError(code: .deadlineExceeded, message: what) }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// What a health watch delivered.
final class WatchedHealth: Sendable {
    private let seen = Mutex<[Grpc_Health_V1_HealthCheckResponse.ServingStatus]>([])

    var statuses: [Grpc_Health_V1_HealthCheckResponse.ServingStatus] { seen.withLock { $0 } }

    func saw(_ status: Grpc_Health_V1_HealthCheckResponse.ServingStatus) { seen.withLock { $0.append(status) } }
}
