import Foundation
import GrootCore
import GrootStore
import Logging
import Testing

/// One throw-away PostgreSQL server for the whole test run; every test gets a database of its own.
actor TestCluster {
    static let shared = TestCluster()

    /// Visible reason for skipping; nil when tests may run.
    ///
    /// Under `CI=true` a missing server is a failure instead.
    static let isInstalled: Bool = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let directories =
            versions.map { "\(root)/\($0)/bin" }
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return directories.contains { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") }
    }()

    static let isRequired = ProcessInfo.processInfo.environment["CI"] == "true"

    private var starting: Task<EmbeddedCluster, any Error>?
    private var databases = 0

    /// A state directory that goes away with the test process.
    static func temporaryDirectory(_ name: String) -> String {
        let directory = "/tmp/groot-store-tests-\(ProcessInfo.processInfo.processIdentifier)/\(name)"
        ScratchDirectory.shared.keep()
        return directory
    }

    /// Connection text of a new, empty database.
    ///
    /// - Parameter options: of CREATE DATABASE, behind the name.
    func database(options: String = "") async throws -> String {
        let cluster = try await cluster()
        databases += 1
        let name = "test_\(databases)"
        let connection = try PostgresConnection(
            conninfo: cluster.conninfo(database: "postgres"),
            timeout: .seconds(20)
        )
        try connection.executeScript("CREATE DATABASE \(name)\(options)")
        return cluster.conninfo(database: name)
    }

    /// A connection to a new database with the schema in place.
    func migratedDatabase() async throws -> String {
        let conninfo = try await database()
        try Migrator().migrate(PostgresConnection(conninfo: conninfo, timeout: .seconds(20)))
        return conninfo
    }

    private func cluster() async throws -> EmbeddedCluster {
        if let starting { return try await starting.value }
        let task = Task { () throws -> EmbeddedCluster in
            var tuning = EmbeddedCluster.Tuning()
            tuning.syncToDisk = false
            tuning.maxConnections = 100
            let cluster = EmbeddedCluster(
                stateDirectory: Self.temporaryDirectory("shared"),
                tuning: tuning,
                logger: Logger(label: "test")
            )
            let serving = Task { try await cluster.run() }
            ScratchDirectory.shared.stopAtExit { cluster.serverProcess }
            try await eventually("the shared cluster answers", within: .seconds(60)) {
                let connection = try? PostgresConnection(
                    conninfo: cluster.conninfo(database: "postgres"),
                    timeout: .seconds(5)
                )
                return connection != nil
            }
            _ = serving
            return cluster
        }
        starting = task
        return try await task.value
    }
}

/// Polls until `condition` holds; records a failure and throws when it does not in time.
func eventually(
    _ what: String,
    within limit: Duration = .seconds(20),
    _ condition: () async throws -> Bool
) async throws {
    let deadline = MonotonicInstant.now() + limit
    while try await !condition() {
        guard MonotonicInstant.now() < deadline else {
            throw StoreError(.timedOut, "waited \(limit.seconds) s in vain: \(what)")
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// Skips visibly where PostgreSQL is not installed, except under `CI=true`, where its absence must fail.
extension Trait where Self == ConditionTrait {
    static var needsPostgres: Self {
        .enabled(if: TestCluster.isInstalled || TestCluster.isRequired, "PostgreSQL is not installed")
    }
}

/// `#expect(value == expected)` for values that are awaited inside closures.
func expect<Value: Equatable>(
    _ value: Value,
    is expected: Value,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, sourceLocation: sourceLocation)
}
