package import GrootCore
package import Logging
import Synchronization

/// What the fleet remembers.
///
/// Any thread. `run()` must be running: it brings the database up (embedded) or waits for it (`--database`), migrates or
/// checks the schema, and keeps `notReadyReason` true. Every call is idempotent, returns after the commit and throws
/// `unavailable` while there is no database; nothing is buffered here, callers keep what was not acknowledged.
package final class Store: Sendable {
    private let configuration: StoreConfiguration
    private let logger: Logger
    private let instruments: StoreInstruments
    private let cluster: EmbeddedCluster?
    private let pool: PostgresPool
    /// How to connect to it, for PostgreSQL's own programs.
    package let conninfo: String
    private let readiness: Mutex<Readiness>

    package init(configuration: StoreConfiguration, logger: Logger, metrics: MetricsRegistry) {
        self.configuration = configuration
        self.logger = logger
        self.instruments = StoreInstruments(metrics)
        let conninfo: String
        switch configuration.location {
        case .embedded(let directory):
            let cluster = EmbeddedCluster(stateDirectory: directory, tuning: configuration.tuning, logger: logger)
            self.cluster = cluster
            conninfo = cluster.conninfo
        case .server(let url, _):
            self.cluster = nil
            conninfo = url
        }
        self.conninfo = conninfo
        self.pool = PostgresPool(
            conninfo: conninfo,
            size: configuration.poolSize,
            queueLimit: configuration.queueLimit,
            timeout: configuration.timeout
        )
        self.readiness = Mutex(Readiness())
    }

    /// Nil when the database answers and has the right schema, else what is missing.
    package var notReadyReason: String? { readiness.withLock { $0.reason } }

    /// The command with which people look into the embedded database, nil for a server of their own.
    package var psqlCommand: String? { cluster?.psqlCommand }

    /// Process id of the embedded server, nil when none runs here.
    package var serverProcess: Int32? { cluster?.serverProcess }

    /// Keeps the database usable until the task is cancelled; then closes connections and shuts an embedded server down.
    ///
    /// - Throws: only what waiting cannot cure: missing programs, an unusable directory, a wrong schema.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let cluster { group.addTask { try await cluster.run() } }
            group.addTask { try await self.supervise() }
            do {
                defer { group.cancelAll() }
                try await group.next()
                readiness.withLock { $0.stopped("the gateway is shutting down") }
            } catch {
                readiness.withLock {
                    $0.stopped(error is CancellationError ? "the gateway is shutting down" : "\(error)")
                }
                throw error
            }
        }
        await pool.close()
    }

    /// Returns when the store is ready.
    ///
    /// - Throws: `unavailable` with the reason when it is not within `timeout`, or `run()` ended.
    package func waitUntilReady(timeout: Duration) async throws(StoreError) {
        let deadline = MonotonicInstant.now() + timeout
        while let reason = notReadyReason {
            let isStopped = readiness.withLock { $0.isStopped }
            guard MonotonicInstant.now() < deadline, !isStopped, !Task.isCancelled else {
                throw StoreError(.unavailable, "the database is not ready: \(reason)")
            }
            // Cancellation is seen above.
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Runs named operations on a connection of the pool, once the schema is known to be right.
    package func withConnection<Result: Sendable>(
        _ operation: StaticString,
        _ body: @Sendable (PostgresConnection) throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        let started = MonotonicInstant.now()
        do throws(StoreError) {
            if let reason = readiness.withLock({ $0.refusal }) {
                throw StoreError(.unavailable, "the database is not ready: \(reason)")
            }
            let result = try await pool.run(body)
            instruments.succeeded(after: started.duration(to: .now()))
            return result
        } catch {
            instruments.failed(error.code)
            logger.debug("store operation failed", metadata: ["operation": "\(operation)", "error": "\(error)"])
            throw error
        }
    }

    func count(_ changes: [PartitionChange]) { instruments.changed(changes) }

    /// Counts records that a commit made durable for the first time, and those that were there already.
    func count(_ batch: TelemetryBatch, inserted: [Int]) {
        for (rows, count) in zip(batch.tables, inserted) {
            instruments.committed(rows.table, new: count, repeated: rows.count - count)
        }
    }
}

extension Store {
    private func supervise() async throws {
        try await prepare()
        var maintenance = RateLimit(every: configuration.maintenanceInterval)
        while true {
            if maintenance.admit(at: .now()) != nil { await maintain() }
            try await Task.sleep(for: configuration.probeInterval)
            await probe()
        }
    }

    /// Without it telemetry goes into the default partitions, from where a later maintenance takes it.
    private func maintain() async {
        do throws(StoreError) {
            let changes = try await maintainPartitions()
            guard !changes.isEmpty else { return }
            logger.info("partitions changed", metadata: ["changes": "\(changes.joined(separator: ", "))"])
        } catch {
            logger.warning("partitions not maintained; trying again later", metadata: ["error": "\(error)"])
        }
    }

    /// Retries until the database is there with the right schema.
    private func prepare() async throws {
        let deadline = MonotonicInstant.now() + configuration.startTimeout
        var warnings = RateLimit(every: .seconds(10))
        while true {
            do throws(StoreError) {
                try await bringUp()
                readiness.withLock { $0.prepared() }
                cluster?.noteServed()
                cluster?.leavePsqlCommand()
                logger.notice("database ready", metadata: ["look": "\(psqlCommand ?? "psql with the --database URL")"])
                return
            } catch {
                try Task.checkCancellation()
                guard error.isTransient else { throw error }
                if cluster != nil, MonotonicInstant.now() > deadline {
                    throw StoreError(
                        .clusterFailed,
                        "the private database server did not become ready in \(configuration.startTimeout.seconds) s",
                        cause: error
                    )
                }
                if cluster == nil {
                    readiness.withLock { $0.waiting(error.message) }
                    if warnings.admit(at: .now()) != nil {
                        logger.warning(
                            "database not reachable; inference goes on without it",
                            metadata: ["error": "\(error)"]
                        )
                    }
                }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func bringUp() async throws(StoreError) {
        let migrate: Bool
        switch configuration.location {
        case .embedded: migrate = true
        case .server(_, let asked): migrate = asked
        }
        if let cluster {
            guard cluster.isLaunched else {
                throw StoreError(.unavailable, "the private database server is being prepared")
            }
            try await createDatabase(in: cluster)
        }
        let applied = try await pool.run { (connection) throws(StoreError) -> [Int] in
            let migrator = Migrator()
            if migrate { return try migrator.migrate(connection) }
            try migrator.check(connection)
            return []
        }
        if !applied.isEmpty {
            logger.notice(
                "database migrated",
                metadata: ["versions": "\(applied.map(String.init).joined(separator: ","))"]
            )
        }
    }

    private func createDatabase(in cluster: EmbeddedCluster) async throws(StoreError) {
        let session = PostgresSession(
            name: "groot.postgres.bootstrap",
            conninfo: cluster.conninfo(database: "postgres"),
            timeout: configuration.timeout
        )
        try await session.run(gate: ReconnectGate()) { (connection) throws(StoreError) in
            let name = ClusterLayout.databaseName
            guard try connection.fetch(Queries.databaseExists, [.text(name)]).first != true else { return }
            try connection.executeScript("CREATE DATABASE \(name)")
        }
        await session.close()
    }

    private func probe() async {
        do throws(StoreError) {
            _ = try await pool.run { (connection) throws(StoreError) in try connection.fetch(Queries.ping) }
            cluster?.noteServed()
            if readiness.withLock({ $0.answered() }) { logger.notice("database answers again") }
        } catch {
            // A full queue says that the database is slow, not that it is gone.
            guard error.code != .busy, !Task.isCancelled else { return }
            if readiness.withLock({ $0.lost(error.message) }) {
                logger.warning(
                    "database lost; inference goes on, agents keep their telemetry",
                    metadata: ["error": "\(error)"]
                )
            }
        }
    }
}

/// Whether the store can be used.
///
/// Pure.
struct Readiness {
    private var isPrepared = false
    private(set) var isStopped = false
    private(set) var reason: String? = "starting"

    /// Why an operation must not even be tried; after the first success the connection itself decides.
    var refusal: String? { isPrepared && !isStopped ? nil : reason }

    mutating func prepared() {
        isPrepared = true
        reason = nil
    }

    mutating func waiting(_ problem: String) { reason = problem }

    /// True when this is news.
    mutating func lost(_ problem: String) -> Bool {
        defer { reason = problem }
        return reason == nil
    }

    /// True when this is news.
    mutating func answered() -> Bool {
        defer { reason = nil }
        return reason != nil
    }

    mutating func stopped(_ why: String) {
        isStopped = true
        reason = why
    }
}
