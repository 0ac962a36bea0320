import Foundation
import GrootCore
import Logging
import Testing

@testable import GrootStore

/// A database whose set-up is wrong: each way is named, waited out, and over when somebody repairs it.
@Suite(.needsPostgres)
struct StoreSetupTests {
    /// One way to be wrong and its repair, as SQL of the owner.
    struct Fault: Sendable, CustomTestStringConvertible {
        var name: String
        var expected: StoreFault
        /// What the sentence must name.
        var says: String
        /// Of the database, behind its name.
        var options = ""
        var migrates = false
        /// The schema is in place before.
        var isMigrated = true
        var breakIt: [String]
        /// Empty: needs another database.
        var repair: [String]

        var testDescription: String { name }
    }

    static let faults: [Fault] = [
        Fault(
            name: "LATIN1",
            expected: .encoding,
            says: "server_encoding is LATIN1, UTF8 is needed",
            options: " ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
            migrates: true,
            isMigrated: false,
            breakIt: ["GRANT ALL ON SCHEMA public TO app"],
            repair: []
        ),
        Fault(
            name: "SQL_ASCII",
            expected: .encoding,
            says: "server_encoding is SQL_ASCII",
            options: " ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
            migrates: true,
            isMigrated: false,
            breakIt: ["GRANT ALL ON SCHEMA public TO app"],
            repair: []
        ),
        Fault(
            name: "empty, not migrating",
            expected: .schema,
            says: "--migrate",
            isMigrated: false,
            breakIt: [],
            repair: ["MIGRATE"]
        ),
        Fault(
            name: "empty, may not CREATE",
            expected: .rights,
            says: "permission denied for schema public",
            migrates: true,
            isMigrated: false,
            breakIt: [],
            repair: ["GRANT ALL ON SCHEMA public TO app"]
        ),
        Fault(
            name: "another search_path",
            expected: .schema,
            says: "schema",
            breakIt: [
                "CREATE SCHEMA other", "GRANT USAGE ON SCHEMA other TO app", "ALTER ROLE app SET search_path = other",
            ],
            repair: ["ALTER ROLE app RESET search_path"]
        ),
        Fault(
            name: "a search_path to nowhere",
            expected: .schema,
            says: "search_path names no schema",
            breakIt: ["ALTER ROLE app SET search_path = nowhere"],
            repair: ["ALTER ROLE app RESET search_path"]
        ),
        Fault(
            name: "reads only",
            expected: .rights,
            says: "INSERT on inferences",
            breakIt: ["REVOKE groot_writer FROM app", "GRANT groot_reader TO app"],
            repair: ["GRANT groot_writer TO app"]
        ),
        Fault(
            name: "one right is missing",
            expected: .rights,
            says: "UPDATE on episodes",
            breakIt: ["REVOKE UPDATE ON episodes FROM groot_writer"],
            repair: ["GRANT UPDATE ON episodes TO groot_writer"]
        ),
        Fault(
            name: "takes no writes",
            expected: .readOnly,
            says: "takes no writes",
            breakIt: ["ALTER ROLE app SET default_transaction_read_only = on"],
            repair: ["ALTER ROLE app RESET default_transaction_read_only"]
        ),
    ]

    /// Logins belong to the server, so one fault at a time.
    @Test(arguments: faults)
    func isNamedAndPasses(_ fault: Fault) async throws {
        let url = try await TestCluster.shared.database(options: fault.options)
        let role = "app_\(UUID().uuidString.prefix(8).lowercased())"
        func sql(_ text: String) -> String { text.replacing(" app", with: " \(role)") }
        let owner = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        if fault.isMigrated { try Migrator().migrate(owner) }
        try owner.executeScript("CREATE ROLE \(role) LOGIN")
        if fault.isMigrated { try owner.executeScript("GRANT groot_writer TO \(role)") }
        for statement in fault.breakIt { try owner.executeScript(sql(statement)) }
        var configuration = StoreConfiguration(
            location: .server(url: url.replacing("user=groot", with: "user=\(role)"), migrate: fault.migrates)
        )
        configuration.probeInterval = .milliseconds(100)
        let metrics = MetricsRegistry()
        let store = Store(configuration: configuration, logger: Logger(label: "test"), metrics: metrics)
        let running = Task { try await store.run() }
        try await eventually("the fault is named") { store.fault == fault.expected }
        #expect(store.notReadyReason?.contains(fault.says) == true, "\(store.notReadyReason ?? "")")
        #expect(metrics.render().contains("groot_gateway_store_fault{fault=\"\(fault.expected.rawValue)\"} 1"))
        let error = await #expect(throws: StoreError.self) {
            try await store.insertInferences(Sample.inferences(UUID()))
        }
        // Never the record's fault.
        #expect(error?.code == .unavailable || error?.code == .readOnly)
        for statement in fault.repair {
            if statement == "MIGRATE" {
                try Migrator().migrate(owner)
                try owner.executeScript("GRANT groot_writer TO \(role)")
            } else {
                try owner.executeScript(sql(statement))
            }
        }
        if !fault.repair.isEmpty {
            // A repair of the login holds for connections that come after it; the store makes new ones.
            try await eventually("it is used as soon as it is repaired") { store.notReadyReason == nil }
            try await expect(store.insertInferences(Sample.inferences(UUID())), is: 101)
            #expect(metrics.render().contains("groot_gateway_store_fault{fault=\"\(fault.expected.rawValue)\"} 0"))
        }
        running.cancel()
        _ = await running.result
        try owner.executeScript("DROP OWNED BY \(role); DROP ROLE \(role)")
    }

    @Test func aCommandEndsWithTheSentence() async throws {
        var configuration = StoreConfiguration(
            location: .server(url: try await TestCluster.shared.database(), migrate: false)
        )
        configuration.access = .whatIsThere
        let store = Store(configuration: configuration, logger: Logger(label: "test"), metrics: MetricsRegistry())
        let running = Task { try await store.run() }
        let error = await #expect(throws: StoreError.self) {
            try await store.waitUntilReady(timeout: .seconds(60), failsOnFaults: true)
        }
        #expect(error?.code == .schemaOutdated && error?.message.contains("--migrate") == true)
        running.cancel()
        _ = await running.result
    }

    /// What a server, a database or a login sets otherwise changes neither what statements mean nor what answers look like.
    @Test func sessionSettingsOfOthersDoNotMatter() async throws {
        let url = try await TestCluster.shared.database()
        let owner = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        let name = try #require(try owner.execute("SELECT current_database()").rows.first?.text(0))
        for setting in ["standard_conforming_strings = off", "DateStyle = 'SQL, DMY'", "IntervalStyle = iso_8601"] {
            try owner.executeScript("ALTER DATABASE \(name) SET \(setting)")
        }
        try await withStore(.server(url: url, migrate: true)) { store in
            try await expect(store.insertInferences(Sample.inferences(UUID())), is: 101)
            let matches = try await store.withConnection("test") { (connection) throws(StoreError) in
                try connection.execute(#"SELECT matches_pattern('a_b', 'a_*'), matches_pattern('axb', 'a_*')"#).rows[0]
                    .values
            }
            #expect(matches == ["t", "f"])
        }
    }

    /// A failover: the server that took writes takes none any more, and then does again.
    @Test func aServerThatStopsTakingWritesIsLeftAndFoundAgain() async throws {
        let url = try await TestCluster.shared.database()
        let owner = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        let name = try #require(try owner.execute("SELECT current_database()").rows.first?.text(0))
        try await withStore(.server(url: url, migrate: true)) { store in
            let owner = try PostgresConnection(conninfo: url, timeout: .seconds(20))
            try await expect(store.insertInferences(Array(Sample.inferences(UUID()).prefix(10))), is: 10)
            try owner.executeScript("ALTER DATABASE \(name) SET default_transaction_read_only = on")
            try owner.executeScript(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(name)' AND pid <> pg_backend_pid()"
            )
            try await eventually("it says that nothing can be written") { store.fault == .readOnly }
            let error = await #expect(throws: StoreError.self) {
                try await store.insertInferences(Sample.inferences(UUID()))
            }
            #expect(error?.isTransient == true && error?.code == .readOnly)
            try owner.executeScript("SET default_transaction_read_only = off")
            try owner.executeScript("ALTER DATABASE \(name) RESET default_transaction_read_only")
            try await eventually("it is used again") { store.fault == nil }
            try await expect(store.insertInferences(Sample.inferences(UUID())), is: 91)
        }
    }

    /// Which errors of the server are never the record's fault.
    @Test(arguments: ["22P05", "22021", "25006", "42501", "42P01", "3F000", "53100", "57P03", "08006", "40P01"])
    func aFaultOfTheSetUpNeverCondemnsARecord(_ state: String) {
        #expect(StoreError(sqlState: state, message: "").code != .invalidValue)
    }
}
