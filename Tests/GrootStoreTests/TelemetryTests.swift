import Foundation
import GrootCore
import GrootStore
import Logging
import Testing

@Suite(.needsPostgres)
struct TelemetryTests {
    private func rows(_ store: Store, _ sql: String) async throws -> [[String?]] {
        try await store.withConnection("test") { (connection) throws(StoreError) in
            try connection.execute(sql).rows.map(\.values)
        }
    }

    private func location() async throws -> StoreConfiguration.Location {
        .server(url: try await TestCluster.shared.database(), migrate: true)
    }

    /// Waits for the maintenance that a store does at its start; another one beside it would do nothing.
    private func ownMaintenance(_ store: Store) async throws {
        let partitions = "SELECT count(*)::text FROM pg_inherits WHERE inhparent = 'thumbnails'::regclass"
        try await eventually("today and three days ahead have partitions") {
            try await rows(store, partitions) == [["5"]]
        }
    }

    /// One record of each kind.
    private func mixed(first: Int64, episode: UUID) -> TelemetryBatch {
        var batch = TelemetryBatch(robot: "r1", boot: "b1", inferences: 1, controlSamples: 1, events: 1)
        InferenceRow(robot: "r1", boot: "b1", sequence: first, episode: episode).append(to: &batch.inferences)
        batch.controlSamples.beginRow(sequence: first + 1)
        _ = batch.controlSamples.append(uuid: episode.uuidString)
        batch.controlSamples.append(unixNanoseconds: 1_700_000_000_123_456_789)
        for value in Int64(1)...9 { batch.controlSamples.append(bigint: value) }
        batch.controlSamples.append(bool: false)
        batch.events.beginRow(sequence: first + 2)
        _ = batch.events.append(uuid: "")
        batch.events.append(unixNanoseconds: 1_700_000_000_000_000_000)
        for text in ["safety", "velocity_limited", "größer als erlaubt\n\t\\N"] { batch.events.append(text: text) }
        batch.events.append(bool: false)
        return batch
    }

    @Test func allThreeKindsArriveAsTheyWere() async throws {
        try await withStore(location()) { store in
            let episode = UUID()
            var batch = mixed(first: 5, episode: episode)
            batch.drops = TelemetryDrops(inferences: 7, damaged: 1)
            try await expect(store.insertTelemetry(batch), is: 3)
            try await expect(store.insertTelemetry(batch), is: 0)
            try await expect(
                rows(
                    store,
                    """
                    SELECT sequence::text, episode_id::text, extract(epoch FROM sampled_at)::text, ticks::text,
                        starved_ticks::text, missed_cycles::text, limited_ticks::text, runway_ns::text,
                        min_runway_ns::text, jitter_p50_ns::text, jitter_p99_ns::text, jitter_max_ns::text
                    FROM control_samples
                    """
                ),
                is: [
                    ["6", episode.uuidString.lowercased(), "1700000000.123456", "1", "2", "3", "4", "5", "6", "7", "8"]
                        + ["9"]
                ]
            )
            try await expect(
                rows(store, "SELECT sequence::text, episode_id::text, kind, name, message FROM events"),
                is: [["7", nil, "safety", "velocity_limited", "größer als erlaubt\n\t\\N"]]
            )
            try await expect(
                rows(store, "SELECT committed::text, dropped_inferences, damaged_records FROM telemetry_boots"),
                is: [["{[5,8)}", "7", "1"]]
            )
            // A late report with smaller counts takes nothing back.
            try await expect(store.insertTelemetry(mixed(first: 1, episode: episode)), is: 3)
            try await expect(
                rows(store, "SELECT committed::text, dropped_inferences, damaged_records FROM telemetry_boots"),
                is: [["{[1,4),[5,8)}", "7", "1"]]
            )
        }
    }

    @Test func countsWithoutRecordsAreKept() async throws {
        try await withStore(location()) { store in
            var batch = TelemetryBatch(robot: "r1", boot: "b1")
            try await expect(store.insertTelemetry(batch), is: 0)
            try await expect(rows(store, "SELECT count(*) FROM telemetry_boots"), is: [["0"]])
            batch.drops = TelemetryDrops(controlSamples: 3, events: 2, refused: 1)
            try await store.insertTelemetry(batch)
            try await expect(
                rows(
                    store,
                    "SELECT dropped_control_samples, dropped_events, refused_records, committed FROM telemetry_boots"
                ),
                is: [["3", "2", "1", "{}"]]
            )
        }
    }

    @Test func aSequenceTwiceInOneReportIsRefusedAsAWhole() async throws {
        try await withStore(location()) { store in
            let row = InferenceRow(robot: "r1", boot: "b1", sequence: 3)
            let error = await #expect(throws: StoreError.self) { try await store.insertInferences([row, row]) }
            #expect(error?.code == .invalidValue)
            try await expect(rows(store, "SELECT count(*) FROM inferences"), is: [["0"]])
        }
    }

    @Test func reportsOfOneBootInAnyOrderFromManyConnectionsAreKeptOnce() async throws {
        try await withStore(location()) { store in
            var random = SystemRandomNumberGenerator()
            // Overlapping windows, each sent twice, all at once.
            let windows = (0..<40).map { _ -> ClosedRange<Int64> in
                let first = Int64.random(in: 1...400, using: &random)
                return first...(first + Int64.random(in: 0...60, using: &random))
            }
            let expected = windows.reduce(into: Set<Int64>()) { $0.formUnion($1) }
            let inserted = try await withThrowingTaskGroup(of: Int.self) { group in
                for window in (windows + windows).shuffled(using: &random) {
                    group.addTask {
                        try await store.insertInferences(
                            window.map { InferenceRow(robot: "r1", boot: "b1", sequence: $0) }
                        )
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(inserted == expected.count)
            try await expect(
                rows(store, "SELECT count(*)::text, count(DISTINCT sequence)::text FROM inferences"),
                is: [["\(expected.count)", "\(expected.count)"]]
            )
        }
    }

    @Test func maintenanceMakesPartitionsMovesStraysAndDropsWhatIsOld() async throws {
        try await withStore(location()) { store in
            try await store.insertInferences([InferenceRow(robot: "r1", boot: "b1", sequence: 1)])
            try await expect(rows(store, "SELECT count(*)::text FROM inferences_default"), is: [["0"]])
            try await ownMaintenance(store)
            // Days without partitions: the rows go to the default partition first.
            _ = try await rows(
                store,
                """
                INSERT INTO inferences SELECT (jsonb_populate_record(i, jsonb_build_object(
                    'recorded_at', now() + n * interval '10 days', 'sequence', n + 100))).*
                FROM inferences AS i, generate_series(1, 2) AS n
                """
            )
            try await expect(rows(store, "SELECT count(*)::text FROM inferences_default"), is: [["2"]])
            _ = try await rows(store, "SELECT * FROM maintain_partitions(0, now() + interval '10 days')")
            try await expect(rows(store, "SELECT count(*)::text FROM inferences_default"), is: [["1"]])
            try await expect(rows(store, "SELECT count(*)::text FROM inferences"), is: [["3"]])
            try await expect(store.maintainPartitions(), is: [])

            _ = try await rows(store, "UPDATE retention SET keep = '7 days' WHERE table_name = 'inferences'")
            let changes = try await rows(
                store,
                """
                SELECT partition, change FROM maintain_partitions(0, now() + interval '20 days')
                WHERE partition LIKE 'inf%'
                """
            )
            #expect(changes.count { $0[1] == "dropped" } >= 5, "\(changes)")
            // The last stray is of that very day and stays.
            try await expect(rows(store, "SELECT sequence::text FROM inferences"), is: [["102"]])
            try await expect(rows(store, "SELECT committed::text FROM telemetry_boots"), is: [["{[1,2)}"]])
        }
    }

    @Test func whatRetentionLetsGoIsCounted() async throws {
        let metrics = MetricsRegistry()
        try await withStore(location(), metrics: metrics) { store in
            try await store.insertInferences([InferenceRow(robot: "r1", boot: "b1", sequence: 1)])
            try await ownMaintenance(store)
            // A hundred days ago there were partitions; ninety days are kept.
            _ = try await rows(store, "SELECT * FROM maintain_partitions(0, now() - interval '100 days')")
            _ = try await rows(store, "SELECT * FROM maintain_partitions(0, now() - interval '80 days')")
            let changes = try await store.maintainPartitions()
            // Of inferences (90 days), samples (30), events (400) and thumbnails (14; the older went 80 days ago).
            #expect(changes.count { $0.hasPrefix("inferences_") && $0.hasSuffix("dropped") } == 1, "\(changes)")
            #expect(changes.count { $0.hasPrefix("control_samples_") && $0.hasSuffix("dropped") } == 2)
            #expect(changes.count { $0.hasPrefix("thumbnails_") && $0.hasSuffix("dropped") } == 1)
            #expect(!changes.contains { $0.hasPrefix("events_") })
            try await expect(rows(store, "SELECT count(*)::text FROM inferences"), is: [["1"]])
        }
        #expect(metrics.render().contains(#"groot_gateway_store_partitions_total{change="dropped"} 4"#))
    }

    @Test func thumbnailsHaveNumbersOfTheirOwnAndCanBeLookedAt() async throws {
        try await withStore(location()) { store in
            let episode = UUID()
            try await store.startEpisode(Sample.start(episode))
            let jpeg = Data([0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x5C, 0x0A])
            func batch(_ sequences: ClosedRange<Int64>) -> TelemetryBatch {
                var batch = mixed(first: sequences.lowerBound, episode: episode)
                for sequence in sequences {
                    batch.thumbnails.beginRow(sequence: sequence)
                    _ = batch.thumbnails.append(uuid: episode.uuidString)
                    batch.thumbnails.append(text: sequence % 2 == 1 ? "head" : "left")
                    batch.thumbnails.append(unixNanoseconds: 1_700_000_000_123_456_789 + sequence * 500_000_000)
                    batch.thumbnails.append(bytes: jpeg + [UInt8(sequence)])
                    batch.thumbnails.append(bool: false)
                }
                batch.drops.thumbnails = 9
                return batch
            }
            // Three records and two thumbnails with the same numbers; then one more of each is new.
            try await expect(store.insertTelemetry(batch(1...2)), is: 5)
            try await expect(store.insertTelemetry(batch(1...2)), is: 0)
            try await expect(store.insertTelemetry(batch(2...3)), is: 2)
            try await expect(
                rows(
                    store,
                    "SELECT committed::text, committed_thumbnails::text, dropped_thumbnails::text FROM telemetry_boots"
                ),
                is: [["{[1,5)}", "{[1,4)}", "9"]]
            )
            struct Listed: Decodable {
                var camera: String
                var atMs: Int
                var url: String
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let text = try await store.dashboardThumbnails(episode)
            let listed = try decoder.decode([Listed].self, from: Data(text.utf8))
            #expect(listed.map(\.camera) == ["head", "left", "head"])
            #expect(listed.map(\.atMs) == [500, 1000, 1500])
            let id = episode.uuidString.lowercased()
            #expect(listed.map(\.url) == (1...3).map { "/api/episodes/\(id)/thumbnails/\($0)" })
            try await expect(store.dashboardThumbnail(episode, 2), is: jpeg + [2])
            try await expect(store.dashboardThumbnail(episode, 4), is: nil)
            try await expect(store.dashboardThumbnails(UUID()), is: "[]")
        }
    }

    @Test func rolesMayDoTheirWorkAndNothingElse() async throws {
        let url = try await TestCluster.shared.migratedDatabase()
        let connection = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        func refused(_ sql: String) -> Bool {
            let error = #expect(throws: StoreError.self, "\(sql)") { try connection.execute(sql) }
            return error?.sqlState == "42501"
        }
        try connection.executeScript("SET ROLE groot_writer")
        try connection.executeScript("INSERT INTO robots (robot) VALUES ('r1')")
        try connection.executeScript("SELECT * FROM maintain_partitions()")
        for sql in [
            "DELETE FROM inferences", "UPDATE inferences SET worker = 'x'", "DROP TABLE events", "DELETE FROM episodes",
            "UPDATE retention SET keep = '1 day'", "CREATE TABLE mine ()", "DELETE FROM groot_migrations",
        ] {
            #expect(refused(sql), "\(sql)")
        }
        try connection.executeScript("SET ROLE groot_reader")
        for view in [
            "episode_metrics", "robot_day", "worker_utilization", "checkpoint_comparison", "starvation_causes",
        ] {
            _ = try connection.execute("SELECT * FROM \(view)")
        }
        for sql in ["INSERT INTO robots (robot) VALUES ('r2')", "SELECT * FROM maintain_partitions()"] {
            #expect(refused(sql), "\(sql)")
        }
        try connection.executeScript("SET ROLE groot_migrator")
        try connection.executeScript("ALTER TABLE events ADD COLUMN extra text")
        try connection.executeScript("RESET ROLE")
    }

    /// People and programs log in as themselves; what they may do comes from the role that they are members of.
    @Test func aLoginMayDoWhatItsRoleMayAndNothingElse() async throws {
        let url = try await TestCluster.shared.migratedDatabase()
        let owner = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        let suffix = UUID().uuidString.prefix(8).lowercased()
        func login(_ role: String) throws -> PostgresConnection {
            try owner.executeScript("CREATE ROLE \(role)_\(suffix) LOGIN IN ROLE groot_\(role)")
            return try PostgresConnection(conninfo: url + " user=\(role)_\(suffix)", timeout: .seconds(20))
        }
        func refused(_ connection: PostgresConnection, _ statements: [String]) {
            for sql in statements {
                let error = #expect(throws: StoreError.self, "\(sql)") { try connection.execute(sql) }
                #expect(error?.sqlState == "42501", "\(sql): \(error?.description ?? "allowed")")
            }
        }
        let escape = [
            "SET ROLE groot_migrator", "CREATE ROLE other", "ALTER ROLE groot SUPERUSER",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY robots TO PROGRAM 'true'", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "SELECT * FROM grant_roles()", "UPDATE retention SET keep = '1 day'", "DROP TABLE events",
            "DROP VIEW robot_day",
            "TRUNCATE inferences", "DELETE FROM episodes", "DELETE FROM telemetry_boots", "DELETE FROM robots",
        ]
        let reader = try login("reader")
        #expect(try reader.execute("SELECT current_user").rows.map(\.values) == [["reader_\(suffix)"]])
        _ = try reader.execute("SELECT * FROM episode_metrics")
        _ = try reader.execute("SELECT * FROM thumbnails")
        refused(
            reader,
            escape + [
                "SET ROLE groot_writer", "INSERT INTO robots (robot) VALUES ('r1')", "UPDATE robots SET host = 'x'",
                "INSERT INTO run_config_versions (name, version, config, created_by) VALUES ('a', 1, '{}', 'me')",
                "SELECT * FROM maintain_partitions()",
            ]
        )
        let writer = try login("writer")
        try writer.executeScript("INSERT INTO robots (robot) VALUES ('r1')")
        _ = try writer.execute("SELECT * FROM maintain_partitions()")
        refused(
            writer,
            escape + [
                "SET ROLE groot_reader", "UPDATE inferences SET worker = 'x'", "UPDATE events SET message = ''",
                "DELETE FROM thumbnails", "DELETE FROM control_samples",
                "INSERT INTO groot_migrations VALUES (9, 'a', 'b')",
            ]
        )
        // The migrator changes the schema, but is no superuser either.
        let migrator = try login("migrator")
        try migrator.executeScript("ALTER TABLE events ADD COLUMN extra text; ALTER TABLE events DROP COLUMN extra")
        #expect(try Migrator().migrate(migrator).isEmpty, "a login of the migrator can run groot-gateway migrate")
        refused(
            migrator,
            [
                "CREATE ROLE other", "ALTER ROLE groot SUPERUSER", "SELECT pg_read_file('/etc/passwd')",
                "CREATE DATABASE other",
            ]
        )
        try owner.executeScript("DROP OWNED BY reader_\(suffix), writer_\(suffix), migrator_\(suffix)")
        try owner.executeScript("DROP ROLE reader_\(suffix), writer_\(suffix), migrator_\(suffix)")
    }

    @Test func theWholeStoreWorksAsWriter() async throws {
        let url = try await TestCluster.shared.migratedDatabase()
        try await withStore(.server(url: url + " options='-c role=groot_writer'", migrate: false)) { store in
            let episode = UUID()
            try await store.registerRobot(
                RobotRecord(robot: "r1", boot: "b1", profile: "5_wheel", agentVersion: "1", host: "h")
            )
            try await store.startEpisode(Sample.start(episode))
            try await expect(store.insertTelemetry(mixed(first: 1, episode: episode)), is: 3)
            try await store.finishEpisode(Sample.finish(episode))
            try await store.saveWorker(WorkerRecord(worker: "w1", address: "a:1", checkpoints: []))
            let saved = try await store.saveRunConfig(name: "a", configJSON: "{}", checkpoint: "", notes: "", by: "me")
            _ = try await store.assignRunConfig(name: "a", version: saved.version, to: .init(), share: nil, by: "me")
            try await expect(store.maintainPartitions(), is: [])
            try await expect(rows(store, "SELECT current_user::text"), is: [["groot_writer"]])
        }
    }

    @Test func migratingKeepsTheRecordsOfTheFirstSchema() async throws {
        let connection = try PostgresConnection(
            conninfo: await TestCluster.shared.database(),
            timeout: .seconds(20)
        )
        try Migrator(migrations: Array(Migration.all.prefix(1))).migrate(connection)
        try connection.executeScript(
            """
            INSERT INTO inferences SELECT 'r1', 'b1', n, NULL, 'q', n, 'w1', 'c', now(), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                12, 13, 14, 15, 16, 'OK', '', 17 FROM generate_series(1, 5) AS n WHERE n <> 3
            """
        )
        try Migrator().migrate(connection)
        let after = "SELECT string_agg(sequence::text, ',' ORDER BY sequence), sum(request_bytes) FROM inferences"
        #expect(try connection.execute(after).rows.map(\.values) == [["1,2,4,5", "68"]])
        #expect(
            try connection.execute("SELECT committed FROM telemetry_boots").rows.map(\.values) == [["{[1,3),[4,6)}"]]
        )
        try Migrator().rollback(to: 1, connection)
        #expect(try connection.execute(after).rows.map(\.values) == [["1,2,4,5", "68"]])
    }
}
