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

    /// One record of each kind.
    private func mixed(first: Int64, episode: UUID) -> TelemetryBatch {
        var batch = TelemetryBatch(robot: "r1", boot: "b1", inferences: 1, controlSamples: 1, events: 1)
        InferenceRow(robot: "r1", boot: "b1", sequence: first, episode: episode).append(to: &batch.inferences)
        batch.controlSamples.beginRow(sequence: first + 1)
        _ = batch.controlSamples.append(uuid: episode.uuidString)
        batch.controlSamples.append(unixNanoseconds: 1_700_000_000_123_456_789)
        for value in Int64(1)...9 { batch.controlSamples.append(bigint: value) }
        batch.events.beginRow(sequence: first + 2)
        _ = batch.events.append(uuid: "")
        batch.events.append(unixNanoseconds: 1_700_000_000_000_000_000)
        for text in ["safety", "velocity_limited", "größer als erlaubt\n\t\\N"] { batch.events.append(text: text) }
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
