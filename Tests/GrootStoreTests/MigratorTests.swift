import GrootStore
import Testing

@Suite(.needsPostgres)
struct MigratorTests {
    private func connect(_ conninfo: String) throws -> PostgresConnection {
        try PostgresConnection(conninfo: conninfo, timeout: .seconds(20))
    }

    private func tables(_ connection: PostgresConnection) throws -> [String] {
        try connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").rows
            .map { try $0.text(0) }
    }

    @Test func upDownUpLeavesTheSameSchema() async throws {
        let connection = try connect(await TestCluster.shared.database())
        let migrator = Migrator()
        #expect(try migrator.migrate(connection) == Migration.all.map(\.version))
        let first = try tables(connection)
        #expect(first.contains("inferences") && first.contains("episodes"))
        try migrator.rollback(to: 0, connection)
        #expect(try tables(connection) == ["groot_migrations"])
        #expect(try migrator.migrate(connection) == Migration.all.map(\.version))
        #expect(try tables(connection) == first)
        #expect(try migrator.migrate(connection) == [])
        try migrator.check(connection)
    }

    @Test func concurrentMigratorsApplyEachStepOnce() async throws {
        let conninfo = try await TestCluster.shared.database()
        let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<4 {
                group.addTask { @concurrent in
                    try Migrator().migrate(PostgresConnection(conninfo: conninfo, timeout: .seconds(20)))
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(applied == Migration.all.map(\.version))
    }

    @Test func unmigratedDatabaseNamesTheFlag() async throws {
        let connection = try connect(await TestCluster.shared.database())
        let error = try #require(throws: StoreError.self) { try Migrator().check(connection) }
        #expect(error.code == .schemaOutdated)
        #expect(error.message.contains("--migrate"))
        #expect(try tables(connection) == [])
    }

    @Test func changedStepIsRefused() async throws {
        let connection = try connect(await TestCluster.shared.database())
        let original = Migration(version: 1, name: "a", up: "CREATE TABLE a ()", down: "DROP TABLE a")
        try Migrator(migrations: [original]).migrate(connection)
        var changed = original
        changed.up = "CREATE TABLE a (b int)"
        for attempt in [Migrator.migrateAnyway, Migrator.checkOnly] {
            let error = try #require(throws: StoreError.self) {
                try attempt(Migrator(migrations: [changed]))(connection)
            }
            #expect(error.code == .migrationChanged)
        }
    }

    @Test func newerDatabaseIsRefused() async throws {
        let connection = try connect(await TestCluster.shared.database())
        let one = Migration(version: 1, name: "a", up: "CREATE TABLE a ()", down: "DROP TABLE a")
        let two = Migration(version: 2, name: "b", up: "CREATE TABLE b ()", down: "DROP TABLE b")
        try Migrator(migrations: [one, two]).migrate(connection)
        let error = try #require(throws: StoreError.self) { try Migrator(migrations: [one]).migrate(connection) }
        #expect(error.code == .schemaNewer)
    }

    @Test func failedStepLeavesNothingBehind() async throws {
        let connection = try connect(await TestCluster.shared.database())
        let good = Migration(version: 1, name: "a", up: "CREATE TABLE a ()", down: "DROP TABLE a")
        let bad = Migration(version: 2, name: "b", up: "CREATE TABLE b (); SELECT 1/0", down: "")
        #expect(throws: StoreError.self) { try Migrator(migrations: [good, bad]).migrate(connection) }
        #expect(try tables(connection) == [])
        #expect(try Migrator(migrations: [good]).migrate(connection) == [1])
    }

    @Test func everythingUsersSeeHasAComment() async throws {
        let connection = try connect(await TestCluster.shared.migratedDatabase())
        let silent = try connection.execute(
            """
            SELECT c.relname || coalesce('.' || a.attname, '')
            FROM pg_class c
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
                AND c.relname <> 'groot_migrations'
                AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL)
            """
        ).rows.map { try $0.text(0) }
        #expect(silent == [])
    }
}

extension Migrator {
    fileprivate static func migrateAnyway(_ migrator: Migrator) -> (PostgresConnection) throws -> Void {
        { try migrator.migrate($0) }
    }

    fileprivate static func checkOnly(_ migrator: Migrator) -> (PostgresConnection) throws -> Void {
        { try migrator.check($0) }
    }
}
