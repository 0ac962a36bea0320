package import GrootCore
package import Logging
import Synchronization

/// What the fleet remembers.
///
/// Any thread. `run()` must be running: it brings the database up (embedded) or waits for it (`--database`), migrates or
/// checks the schema, proves what is needed (`StoreProbe`), and keeps `notReadyReason` true. A fault of the set-up is
/// waited for like an outage: whoever repairs it need not restart anything. Every call is idempotent, returns after the commit and throws
/// `unavailable` while there is no database; nothing is buffered here, callers keep what was not acknowledged.
package final class Store: Sendable {
    let configuration: StoreConfiguration
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
            timeout: configuration.timeout,
            writing: configuration.access == .writing
        )
        self.readiness = Mutex(Readiness())
    }

    /// Nil when the database can be used, else what is missing.
    package var notReadyReason: String? { readiness.withLock { $0.reason } }

    /// Nil when the database can be used, else the kind of what is missing.
    package var fault: StoreFault? { readiness.withLock { $0.fault } }

    /// The command with which people look into the embedded database, nil for a server of their own.
    package var psqlCommand: String? { cluster?.psqlCommand }

    /// Process id of the embedded server, nil when none runs here.
    package var serverProcess: Int32? { cluster?.serverProcess }

    /// Keeps the database usable until the task is cancelled; then closes connections and shuts an embedded server down.
    ///
    /// - Throws: only what this program's own database server cannot go on with: missing programs, an unusable directory.
    package func run() async throws {
        say { $0.started() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let cluster { group.addTask { try await cluster.run() } }
            group.addTask { try await self.supervise() }
            do {
                defer { group.cancelAll() }
                try await group.next()
                say { $0.stopped("the gateway is shutting down") }
            } catch {
                say { readiness in
                    if let error = error as? StoreError {
                        readiness.failed(error)
                    } else {
                        readiness.stopped(error is CancellationError ? "the gateway is shutting down" : "\(error)")
                    }
                }
                // Connections to a server that is gone are no use to the next `run()`.
                await pool.close()
                throw error
            }
        }
        await pool.close()
    }

    /// Returns when the store is ready.
    ///
    /// - Parameter failsOnFaults: a fault of the set-up, which people must repair, ends the wait.
    /// - Throws: `unavailable` with the reason when it is not within `timeout`, or `run()` ended.
    package func waitUntilReady(timeout: Duration, failsOnFaults: Bool = false) async throws(StoreError) {
        let deadline = MonotonicInstant.now() + timeout
        while let reason = notReadyReason {
            let (isStopped, problem) = readiness.withLock { ($0.isStopped, $0.problem) }
            if failsOnFaults, let problem, !problem.isTransient { throw problem }
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
    func countClosed(_ episodes: Int, because reason: EpisodeClosure) { instruments.closed(episodes, because: reason) }
    func countClosedGaps() { instruments.closedGap() }
    func countQuarantined(_ records: Int) { instruments.quarantined(records) }

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
        var closing = RateLimit(every: configuration.closingInterval)
        while true {
            if configuration.access == .writing {
                if maintenance.admit(at: .now()) != nil { await maintain() }
                if closing.admit(at: .now()) != nil { await closeEpisodes() }
            }
            try await Task.sleep(for: configuration.probeInterval)
            await probe()
        }
    }

    /// Without it telemetry goes into the default partitions, from where a later maintenance takes it.
    private func maintain() async {
        do throws(StoreError) {
            let changes = try await maintainPartitions()
            _ = try await pool.run { (connection) throws(StoreError) in try connection.run(Queries.pruneQuarantine) }
            guard !changes.isEmpty else { return }
            logger.info("partitions changed", metadata: ["changes": "\(changes.joined(separator: ", "))"])
        } catch {
            logger.warning("partitions not maintained; trying again later", metadata: ["error": "\(error)"])
        }
    }

    private func closeEpisodes() async {
        do throws(StoreError) {
            let closed = try await closeSilentEpisodes()
            guard !closed.isEmpty else { return }
            logger.warning(
                "closed episodes as aborted; nothing was heard of their agents",
                metadata: ["episodes": "\(closed.prefix(10).joined(separator: ", "))", "count": "\(closed.count)"]
            )
        } catch {
            // They are found again by the next look.
            logger.debug("episodes of silent agents not closed", metadata: ["error": "\(error)"])
        }
    }

    /// Retries until the database is there and is what is needed.
    private func prepare() async throws {
        let deadline = MonotonicInstant.now() + configuration.startTimeout
        var warnings = RateLimit(every: .seconds(10))
        var said: StoreFault?
        while true {
            var pause: Duration = .milliseconds(50)
            do throws(StoreError) {
                try await bringUp()
                cluster?.noteServed()
                // Whoever hears that the database is ready finds the command to look into it.
                cluster?.leavePsqlCommand()
                say { $0.prepared() }
                logger.notice("database ready", metadata: ["look": "\(psqlCommand ?? "psql with the --database URL")"])
                return
            } catch {
                try Task.checkCancellation()
                if cluster != nil, error.isTransient, MonotonicInstant.now() > deadline {
                    throw StoreError(
                        .clusterFailed,
                        "the private database server did not become ready in \(configuration.startTimeout.seconds) s",
                        cause: error
                    )
                }
                if !error.isTransient {
                    pause = Self.repairInterval
                    // A login's settings hold for connections that are made later: a repair is seen by new ones.
                    await pool.close()
                }
                if cluster == nil || !error.isTransient {
                    say { $0.waiting(error) }
                    let isNews = said != error.fault
                    said = error.fault
                    if warnings.admit(at: .now()) != nil || isNews {
                        logger.warning(
                            "database cannot be used; inference goes on without it, agents keep their telemetry",
                            metadata: ["fault": "\(error.fault.rawValue)", "error": "\(error)"]
                        )
                    }
                }
            }
            try await Task.sleep(for: pause)
        }
    }

    /// How often a database whose set-up is wrong is looked at again.
    private static let repairInterval: Duration = .seconds(1)

    /// Changes what is known of the database, and says so in the metrics.
    @discardableResult
    private func say<Result>(_ change: (inout Readiness) -> Result) -> Result {
        let (result, fault) = readiness.withLock { readiness in (change(&readiness), readiness.fault) }
        instruments.says(fault)
        return result
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
        let writing = configuration.access == .writing
        let applied = try await pool.run { (connection) throws(StoreError) -> [Int] in
            try Self.prove(connection, writing: writing || migrate)
            let migrator = Migrator()
            let applied = migrate ? try Self.migrate(connection, with: migrator) : []
            if !migrate { try migrator.check(connection) }
            if writing { try Self.proveRights(connection) }
            return applied
        }
        if !applied.isEmpty {
            logger.notice(
                "database migrated",
                metadata: ["versions": "\(applied.map(String.init).joined(separator: ","))"]
            )
        }
    }

    private static func migrate(
        _ connection: PostgresConnection,
        with migrator: Migrator
    ) throws(StoreError) -> [Int] {
        do {
            return try migrator.migrate(connection)
        } catch {
            guard error.code == .rights else { throw error }
            var refusal = error
            refusal.message +=
                "; grant CREATE on the schema to the login, or let one that owns it migrate (groot-gateway migrate) and "
                + "start without --migrate"
            do {
                // Nothing to migrate needs no right to.
                try migrator.check(connection)
                return []
            } catch {
                throw refusal
            }
        }
    }

    private static func prove(_ connection: PostgresConnection, writing: Bool) throws(StoreError) {
        if let problem = try connection.fetch(Queries.probeServer).first?.problem(writing: writing) { throw problem }
    }

    private static func proveRights(_ connection: PostgresConnection) throws(StoreError) {
        let schema = try connection.fetch(Queries.probeServer).first?.schema ?? ""
        let missing = try connection.fetch(Queries.missingRights).first ?? ""
        if let problem = StoreProbe.problem(missingRights: missing, schema: schema) { throw problem }
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
        let writing = configuration.access == .writing
        do throws(StoreError) {
            try await pool.run { (connection) throws(StoreError) in
                try Self.prove(connection, writing: writing)
                if writing { try Self.proveRights(connection) }
            }
            cluster?.noteServed()
            if say({ $0.answered() }) { logger.notice("database answers again") }
        } catch {
            // A full queue says that the database is slow, not that it is gone.
            guard error.code != .busy, !Task.isCancelled else { return }
            if !error.isTransient { await pool.close() }
            if say({ $0.lost(error) }) {
                logger.warning(
                    "database lost; inference goes on, agents keep their telemetry",
                    metadata: ["fault": "\(error.fault.rawValue)", "error": "\(error)"]
                )
            }
        }
    }
}
