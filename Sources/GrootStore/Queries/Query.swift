/// A named statement with the types that the program believes in.
///
/// A test prepares every one on a real server and compares.
package struct Query<Row>: Sendable {
    package let name: String
    package let sql: String
    package let parameters: [PostgresType]
    package let columns: [PostgresColumn]
    let decode: @Sendable (PostgresRow) throws(StoreError) -> Row

    init(
        _ name: String,
        parameters: [PostgresType] = [],
        columns: [PostgresColumn],
        sql: String,
        decode: @escaping @Sendable (PostgresRow) throws(StoreError) -> Row
    ) {
        self.name = name
        self.sql = sql
        self.parameters = parameters
        self.columns = columns
        self.decode = decode
    }

    /// Name and types without the row type, for the test over all queries.
    package var signature: QuerySignature {
        QuerySignature(name: name, sql: sql, parameters: parameters, columns: columns)
    }
}

extension Query where Row == Void {
    /// A statement without rows.
    init(_ name: String, parameters: [PostgresType] = [], sql: String) {
        self.init(name, parameters: parameters, columns: [], sql: sql) { _ in }
    }
}

/// What the test over all queries compares with the server.
package struct QuerySignature: Sendable, CustomStringConvertible {
    package var name: String
    package var sql: String
    package var parameters: [PostgresType]
    package var columns: [PostgresColumn]

    package var description: String { name }
}

/// Every SQL text of this program, by name.
///
/// The extensions hold them by subject.
package enum Queries {
    /// All of them; a query that is missing here is not covered by the type test.
    package static let all: [QuerySignature] =
        [
            textDigest.signature,
            lockMigrations.signature, migrationTableExists.signature, appliedMigrations.signature,
            recordMigration.signature, forgetMigration.signature, grantRoles.signature,
            databaseExists.signature,
            registerRobot.signature, ensureRobot.signature,
            saveWorker.signature, saveCheckpoint.signature, ensureCheckpoint.signature, saveWorkerCheckpoint.signature,
            saveRunConfig.signature, startEpisode.signature, finishEpisode.signature,
            lockTelemetryBoot.signature, ensureTelemetryBoot.signature, commitTelemetry.signature,
            maintainPartitions.signature,
            useRunConfig.signature, assignedRunConfig.signature, saveRunConfigVersion.signature,
            runConfigVersion.signature, lockAssignments.signature, assignmentInForce.signature, assignment.signature,
            canariesInForce.signature,
            endAssignment.signature, insertAssignment.signature,
            listEpisodes.signature, showEpisode.signature, episodeEvents.signature, episodeStarvation.signature,
            listCheckpoints.signature, showCheckpoint.signature, compareCheckpoints.signature,
            describeCheckpoint.signature, listRunConfigs.signature, listAssignments.signature,
            listMigrations.signature, listRetention.signature, setRetention.signature,
            dashboardRobots.signature, dashboardWorkers.signature, dashboardLatency.signature,
            dashboardEpisodes.signature, dashboardEpisode.signature, dashboardComparison.signature,
            dashboardThumbnails.signature, dashboardThumbnail.signature,
            probeServer.signature, missingRights.signature, quarantineRecord.signature, countQuarantined.signature,
            pruneQuarantine.signature, saveRobotBoot.signature, closeEarlierEpisodes.signature,
            closeSilentEpisodes.signature, reopenEpisode.signature, addEpisodeCheckpoints.signature,
            checkpointNames.signature,
        ]

    static let databaseExists = Query(
        "database_exists",
        parameters: [.text],
        columns: [PostgresColumn("found", .bool)],
        sql: "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1::text) AS found"
    ) { (row) throws(StoreError) in try row.bool(0) }
}
