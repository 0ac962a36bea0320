import Foundation
import GrootStore
import GrootTesting
import Logging
import Testing

@Suite(.needsPostgres)
struct BackupTests {
    private let question = """
        SELECT m::text FROM episode_metrics AS m
        UNION ALL SELECT i::text FROM inferences AS i
        UNION ALL SELECT t::text FROM telemetry_boots AS t
        UNION ALL SELECT v::text FROM run_config_versions AS v
        UNION ALL SELECT a::text FROM run_config_assignments AS a
        ORDER BY 1
        """

    private func rows(_ store: Store) async throws -> [[String?]] {
        try await store.withConnection("test") { [question] (connection) throws(StoreError) in
            try connection.execute(question).rows.map(\.values)
        }
    }

    /// A database with two episodes, telemetry and a canary; what it says, and its copy in `file`.
    private func filled(_ file: String) async throws -> [[String?]] {
        let url = try await TestCluster.shared.database()
        return try await withStore(.server(url: url, migrate: true)) { store in
            for robot in ["r1", "r2"] {
                let episode = UUID()
                try await store.startEpisode(Sample.start(episode, robot: robot))
                try await store.insertInferences(Sample.inferences(episode, robot: robot))
                try await store.finishEpisode(Sample.finish(episode, robot: robot))
            }
            for name in ["a", "b"] {
                _ = try await store.saveRunConfig(name: name, configJSON: "{}", checkpoint: "", notes: "", by: "me")
            }
            _ = try await store.assignRunConfig(name: "a", version: 1, to: .init(), share: nil, by: "me")
            _ = try await store.assignRunConfig(name: "b", version: 1, to: .init(), share: 0.1, by: "me")
            try await DatabaseBackup(conninfo: store.conninfo).dump(to: file)
            return try await rows(store)
        }
    }

    @Test func nobodyElseMayReadACopy() async throws {
        let folder = try TemporaryDirectory()
        let file = folder.url.appending(path: "fleet.backup").path
        // An older unfinished copy that everybody may read must not lend its rights.
        #expect(FileManager.default.createFile(atPath: file + ".partial", contents: Data("x".utf8)))
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file + ".partial")
        _ = try await filled(file)
        let found = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? NSNumber
        #expect(found?.intValue == 0o600)
    }

    @Test func aFreshClusterHasTheSameEpisodesAndGoesOn() async throws {
        let folder = try TemporaryDirectory()
        let file = folder.url.appending(path: "fleet.backup").path
        let before = try await filled(file)
        #expect(before.count == 210)

        let state = TestCluster.temporaryDirectory("restored")
        var tuning = EmbeddedCluster.Tuning()
        tuning.syncToDisk = false
        let cluster = EmbeddedCluster(stateDirectory: state, tuning: tuning, logger: Logger(label: "test"))
        try await cluster.restore(from: file, timeout: .seconds(60))

        try await withStore(.embedded(stateDirectory: state)) { store in
            try await expect(rows(store), is: before)
            // Repeated reports are still known, new ones are taken, and the canary is still there to promote.
            let again = Sample.inferences(UUID(), robot: "r1")
            try await expect(store.insertInferences(again), is: 0)
            try await expect(
                store.insertInferences([InferenceRow(robot: "r1", boot: "b1", sequence: 500)]),
                is: 1
            )
            try await expect(store.promoteRunConfig(.init(), by: "me").stable.name, is: "b")
        }
        let occupied = EmbeddedCluster(stateDirectory: state, tuning: tuning, logger: Logger(label: "test"))
        let error = await #expect(throws: StoreError.self) {
            try await occupied.restore(from: file, timeout: .seconds(60))
        }
        #expect(error?.code == .conflict)
    }

    @Test func aRestoredServerKeepsItsRoles() async throws {
        let folder = try TemporaryDirectory()
        let file = folder.url.appending(path: "fleet.backup").path
        _ = try await filled(file)
        let url = try await TestCluster.shared.database()
        try await DatabaseBackup(conninfo: url).restore(from: file, timeout: .seconds(60))
        let connection = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        try connection.executeScript("SET ROLE groot_reader")
        #expect(try connection.execute("SELECT * FROM episode_metrics").rows.count == 2)
        let error = #expect(throws: StoreError.self) { try connection.execute("SELECT * FROM maintain_partitions()") }
        #expect(error?.sqlState == "42501")
    }

    @Test func aFileThatIsNoCopyLeavesNothingBehind() async throws {
        let folder = try TemporaryDirectory()
        let file = folder.url.appending(path: "text").path
        try Data("no backup".utf8).write(to: URL(filePath: file))
        let url = try await TestCluster.shared.database()
        for (name, code) in [(file, StoreError.Code.rejected), (file + ".missing", .notFound)] {
            let error = await #expect(throws: StoreError.self) {
                try await DatabaseBackup(conninfo: url).restore(from: name, timeout: .seconds(20))
            }
            #expect(error?.code == code)
        }
        let connection = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        #expect(try connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").rows.isEmpty)
    }
}
