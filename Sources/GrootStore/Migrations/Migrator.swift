/// Brings a database's schema to this program's version, or checks that it is there.
///
/// Everything happens in one transaction under an advisory lock that belongs to the schema, so that programs that
/// start together take turns and a failure leaves the database as it was.
package struct Migrator: Sendable {
    private let migrations: [Migration]
    /// True when the steps include the one that brings roles along.
    private var hasRoles: Bool { migrations.contains { $0.name == "views" } }

    package init(migrations: [Migration] = Migration.all) {
        self.migrations = migrations
    }

    /// Applies what is missing.
    ///
    /// - Returns: versions applied now.
    @discardableResult
    package func migrate(_ connection: PostgresConnection) throws(StoreError) -> [Int] {
        try connection.transaction { (connection) throws(StoreError) -> [Int] in
            _ = try connection.fetch(Queries.lockMigrations)
            try connection.executeScript(Queries.createMigrationTable)
            let applied = try connection.fetch(Queries.appliedMigrations)
            try verify(applied, on: connection)
            var done: [Int] = []
            for migration in migrations.dropFirst(applied.count) {
                try connection.executeScript(migration.up)
                let checksum = try digest(of: migration, on: connection)
                try connection.run(
                    Queries.recordMigration,
                    [.integer(Int64(migration.version)), .text(migration.name), .text(checksum)]
                )
                done.append(migration.version)
            }
            if hasRoles { _ = try connection.fetch(Queries.grantRoles) }
            return done
        }
    }

    /// Takes back every step above `version`, newest first.
    ///
    /// Data of those steps is lost.
    package func rollback(to version: Int, _ connection: PostgresConnection) throws(StoreError) {
        try connection.transaction { (connection) throws(StoreError) in
            _ = try connection.fetch(Queries.lockMigrations)
            let applied = try connection.fetch(Queries.appliedMigrations)
            try verify(applied, on: connection)
            for migration in migrations.prefix(applied.count).reversed() where migration.version > version {
                try connection.executeScript(migration.down)
                try connection.run(Queries.forgetMigration, [.integer(Int64(migration.version))])
            }
        }
    }

    /// Checks without changing anything.
    ///
    /// - Throws: `schemaOutdated`, `schemaNewer` or `migrationChanged`.
    package func check(_ connection: PostgresConnection) throws(StoreError) {
        let exists = try connection.fetch(Queries.migrationTableExists).first ?? false
        let applied = exists ? try connection.fetch(Queries.appliedMigrations) : []
        try verify(applied, on: connection)
        guard applied.count == migrations.count else {
            throw StoreError(
                .schemaOutdated,
                "the database schema is at version \(applied.last?.version ?? 0), this program needs "
                    + "\(migrations.last?.version ?? 0); start groot-gateway once with --migrate"
            )
        }
    }

    /// The applied steps must be the first of ours, unchanged.
    private func verify(_ applied: [AppliedMigration], on connection: PostgresConnection) throws(StoreError) {
        for (index, step) in applied.enumerated() {
            guard index < migrations.count, migrations[index].version == step.version else {
                throw StoreError(
                    .schemaNewer,
                    "the database has migration \(step.version) (\(step.name)), which this program does not know; "
                        + "use the groot-gateway that applied it, or a newer one"
                )
            }
            guard try digest(of: migrations[index], on: connection) == step.checksum else {
                throw StoreError(
                    .migrationChanged,
                    "migration \(step.version) (\(step.name)) was changed after this database applied it; restore its "
                        + "file and put the correction into a new migration"
                )
            }
        }
    }

    private func digest(of migration: Migration, on connection: PostgresConnection) throws(StoreError) -> String {
        try connection.fetch(Queries.textDigest, [.text(migration.up + "\n" + migration.down)]).first ?? ""
    }
}
