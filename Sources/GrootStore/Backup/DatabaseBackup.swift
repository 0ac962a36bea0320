import Foundation
import Subprocess

/// Copies of a whole database in one file, made and read by PostgreSQL's own `pg_dump` and `pg_restore`.
///
/// Neither owners nor privileges are in the file, so that it restores where the roles have other members; restoring ends
/// with a migration, which gives both anew and brings an old copy up to date.
package struct DatabaseBackup: Sendable {
    private let conninfo: String
    private let environment: Environment

    /// - Parameter conninfo: a URL or `key=value` text; a password in a URL is kept off the command line.
    package init(conninfo: String) {
        if var parts = URLComponents(string: conninfo), let scheme = parts.scheme, scheme.hasPrefix("postgres"),
            let password = parts.password
        {
            parts.password = nil
            self.conninfo = parts.string ?? conninfo
            environment = .inherit.updating(["PGPASSWORD": password])
        } else {
            self.conninfo = conninfo
            environment = .inherit
        }
    }

    /// Writes the database into `file`, which appears when it is complete; the database may be in use.
    package func dump(to file: String) async throws(StoreError) {
        let partial = file + ".partial"
        // The copy holds all that the database does, so nobody else may read it, not even while it is written. An older
        // unfinished one may be anybody's to read.
        try? FileManager.default.removeItem(atPath: partial)
        guard
            FileManager.default.createFile(
                atPath: partial,
                contents: nil,
                attributes: [.posixPermissions: NSNumber(value: 0o600)]
            )
        else { throw StoreError(.rejected, "the backup cannot be written to \(file)") }
        try await run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", "--file=\(partial)", conninfo])
        do {
            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: partial))
            try handle.synchronize()
            try handle.close()
            // Replaces an older copy in one step.
            if FileManager.default.fileExists(atPath: file) { try FileManager.default.removeItem(atPath: file) }
            try FileManager.default.moveItem(atPath: partial, toPath: file)
        } catch {
            throw StoreError(.stateDirectory, "the backup cannot be written to \(file)", cause: error)
        }
    }

    /// Fills an empty database from `file`, all of it or nothing, and brings it up to date.
    ///
    /// - Throws: `conflict` when the database is not empty.
    package func restore(from file: String, timeout: Duration) async throws(StoreError) {
        guard FileManager.default.isReadableFile(atPath: file) else {
            throw StoreError(.notFound, "there is no readable file \(file)")
        }
        let session = PostgresSession(name: "groot.postgres.restore", conninfo: conninfo, timeout: timeout)
        let gate = ReconnectGate()
        let isUsed = try await session.run(gate: gate) { (connection) throws(StoreError) in
            try connection.fetch(Queries.migrationTableExists).first ?? false
        }
        guard !isUsed else {
            throw StoreError(
                .conflict,
                "the database has tables already; restore into an empty database or another --state-dir"
            )
        }
        try await run(
            "pg_restore",
            ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--dbname=\(conninfo)", file]
        )
        try await session.run(gate: gate) { (connection) throws(StoreError) in
            try connection.executeScript(Queries.revokeFunctions)
            try Migrator().migrate(connection)
        }
        await session.close()
    }

    private func run(_ program: String, _ arguments: [String]) async throws(StoreError) {
        do {
            let result = try await Subprocess.run(
                .name(program),
                arguments: .init(arguments),
                environment: environment,
                output: .discarded,
                error: .string(limit: 1 << 20)
            )
            guard result.terminationStatus.isSuccess else {
                let said = result.standardError.split(separator: "\n").suffix(5).joined(separator: "; ")
                throw StoreError(.rejected, "\(program) failed: \(said)")
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(
                .toolsMissing,
                "\(program) cannot be run; install PostgreSQL's client programs (Debian: postgresql-client)",
                cause: error
            )
        }
    }
}

extension EmbeddedCluster {
    /// Restores a copy into a private server that no gateway uses, whose database does not exist yet.
    package func restore(from file: String, timeout: Duration) async throws(StoreError) {
        let outcome: Result<Void, StoreError> = await withTaskGroup(of: Result<Void, StoreError>.self) { group in
            group.addTask {
                do throws(StoreError) {
                    try await self.run()
                    return .failure(StoreError(.clusterFailed, "the private database server ended"))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                do throws(StoreError) {
                    try await self.makeDatabase(within: timeout)
                    return .success(
                        try await DatabaseBackup(conninfo: self.conninfo).restore(from: file, timeout: timeout)
                    )
                } catch {
                    return .failure(error)
                }
            }
            let first = await group.next() ?? .failure(StoreError(.clusterFailed, "nothing ran"))
            group.cancelAll()
            await group.waitForAll()
            return first
        }
        try outcome.get()
    }

    /// Waits for the server and makes the database unless it is there.
    private func makeDatabase(within timeout: Duration) async throws(StoreError) {
        let session = PostgresSession(
            name: "groot.postgres.bootstrap",
            conninfo: conninfo(database: "postgres"),
            timeout: .seconds(15)
        )
        let gate = ReconnectGate()
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        while true {
            do throws(StoreError) {
                guard isLaunched else {
                    throw StoreError(.unavailable, "the private database server is being prepared")
                }
                try await session.run(gate: gate) { (connection) throws(StoreError) in
                    let name = ClusterLayout.databaseName
                    guard try connection.fetch(Queries.databaseExists, [.text(name)]).first != true else { return }
                    try connection.executeScript("CREATE DATABASE \(name)")
                }
                noteServed()
                await session.close()
                return
            } catch {
                guard error.isTransient, clock.now < deadline, !Task.isCancelled else { throw error }
            }
            // Cancellation is seen above.
            try? await Task.sleep(for: .milliseconds(50))
        }
    }
}
