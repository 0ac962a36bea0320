import Foundation
import GrootCore
import GrootStore
import Testing

/// What is believed of a record that arrives: whose it is, which checkpoint answered, and what its absurd figures cost.
@Suite(.needsPostgres)
struct BoundaryTests {
    private func rows(_ store: Store, _ sql: String) async throws -> [[String?]] {
        try await store.withConnection("test") { (connection) throws(StoreError) in
            try connection.execute(sql).rows.map(\.values)
        }
    }

    private func location() async throws -> StoreConfiguration.Location {
        .server(url: try await TestCluster.shared.database(), migrate: true)
    }

    private func register(_ store: Store, boot: String) async throws -> [String] {
        try await store.registerRobot(
            RobotRecord(robot: "r1", boot: boot, profile: "5_wheel", agentVersion: "1", host: "h")
        )
    }

    @Test func whatAnotherRobotSaysOfAnEpisodeChangesNothing() async throws {
        try await withStore(location()) { store in
            let episode = UUID()
            try await store.startEpisode(Sample.start(episode))
            try await store.insertInferences(Sample.inferences(episode))
            try await store.finishEpisode(Sample.finish(episode))
            let figures = """
                SELECT chunks, recorded_chunks, latency_p50_ms, worker_share, answered_sha256, answered_checkpoints
                FROM episode_metrics
                """
            let starved = "SELECT count(*), sum(starved_ms) FROM starvation_causes WHERE robot = 'r1'"
            let before = try await rows(store, figures) + rows(store, starved)
            let shown = try await store.dashboardEpisode(episode)
            var forged = Sample.inferences(episode, robot: "r2")
            for index in forged.indices {
                forged[index].latency = 9_000_000_000
                forged[index].worker = "evil"
                forged[index].checkpointSHA256 = "bad"
            }
            try await store.insertInferences(forged)
            var batch = TelemetryBatch(robot: "r2", boot: "b", events: 1, thumbnails: 1)
            batch.events.beginRow(sequence: 1)
            _ = batch.events.append(uuid: episode.uuidString)
            batch.events.append(unixNanoseconds: 1_700_000_000_000_000_000)
            for text in ["safety", "forged", "by r2"] { batch.events.append(text: text) }
            batch.events.append(bool: false)
            batch.thumbnails.beginRow(sequence: 1)
            _ = batch.thumbnails.append(uuid: episode.uuidString)
            batch.thumbnails.append(text: "head")
            batch.thumbnails.append(unixNanoseconds: 1_700_000_000_000_000_000)
            batch.thumbnails.append(bytes: Data([0xFF, 0xD8, 0xFF]))
            batch.thumbnails.append(bool: false)
            try await store.insertTelemetry(batch)
            try await expect(rows(store, figures) + rows(store, starved), is: before)
            try await expect(store.dashboardEpisode(episode), is: shown)
            try await expect(store.dashboardThumbnails(episode), is: "[]")
            try await expect(store.dashboardThumbnail(episode, 1), is: nil)
            let id = PostgresValue.text(episode.uuidString)
            try await expect(store.report(Queries.episodeEvents, [id]).rows.count, is: 0)
            // Nor does another robot get the run config that this one's episode began with.
            var stolen = Sample.start(UUID())
            stolen.runConfig = RunConfigName(name: "mine", version: 1)
            _ = try await store.saveRunConfig(name: "mine", configJSON: "{}", checkpoint: "", notes: "", by: "me")
            try await store.startEpisode(stolen)
            let answers = try await ["r1", "r2"].asyncMap { robot in
                try await store.assignedRunConfig(.init(robot: robot, task: "t", episode: stolen.episode))?.id.name
            }
            #expect(answers == ["mine", nil])
        }
    }

    @Test func whatAnsweredIsCountedOnceAndDecidesTheComparison() async throws {
        try await withStore(location()) { store in
            let (old, new, mixed) = (UUID(), UUID(), UUID())
            for (episode, digests) in [(old, ["abc"]), (new, ["def"]), (mixed, ["abc", "def"])] {
                try await store.startEpisode(Sample.start(episode))
                var chunks = Sample.inferences(episode, boot: episode.uuidString)
                for index in chunks.indices {
                    chunks[index].checkpointSHA256 = index < 10 ? digests[0] : digests.last ?? ""
                }
                // A failed request answers nothing, whatever it says; a report that is repeated counts once.
                for _ in 0..<2 { try await store.insertInferences(Array(chunks[..<60])) }
                try await store.insertInferences(chunks)
                try await store.finishEpisode(Sample.finish(episode))
            }
            try await expect(
                rows(
                    store,
                    "SELECT checkpoint_sha256, sum(chunks) FROM episode_checkpoints GROUP BY 1 ORDER BY 1"
                ),
                is: [["abc", "110"], ["def", "190"]]
            )
            try await expect(
                rows(
                    store,
                    """
                    SELECT answered_sha256, answered_checkpoints, checkpoint_sha256 FROM episode_metrics
                    ORDER BY answered_checkpoints, answered_sha256
                    """
                ),
                is: [["abc", "1", "abc"], ["def", "1", "abc"], ["def", "2", "abc"]]
            )
            // The agent was told abc every time; one of the three was answered by def, and one by both.
            try await expect(
                rows(store, "SELECT checkpoint_sha256, episodes FROM checkpoint_comparison ORDER BY 1"),
                is: [["abc", "1"], ["def", "1"]]
            )
        }
    }

    @Test func aRestartClosesWhatEarlierStartsLeftOpen() async throws {
        let metrics = MetricsRegistry()
        try await withStore(location(), metrics: metrics) { store in
            let (lost, running, other) = (UUID(), UUID(), UUID())
            _ = try await register(store, boot: "b1")
            try await store.startEpisode(Sample.start(lost))
            try await store.startEpisode(Sample.start(other, robot: "r2"))
            try await expect(register(store, boot: "b1"), is: [])
            try await expect(register(store, boot: "b2"), is: [lost.uuidString.lowercased()])
            var start = Sample.start(running)
            start.boot = "b2"
            try await store.startEpisode(start)
            // A registration of the earlier start that comes late, or again, closes nothing of the later one.
            try await expect(register(store, boot: "b1"), is: [])
            let state = "SELECT robot, boot, outcome, decided_by FROM episodes ORDER BY robot, boot"
            try await expect(
                rows(store, state),
                is: [["r1", "b1", "aborted", "gateway"], ["r1", "b2", nil, nil], ["r2", "b1", nil, nil]]
            )
            // The agent kept the end on its disk after all, and knows better.
            try await store.finishEpisode(Sample.finish(lost))
            try await store.finishEpisode(Sample.finish(lost, chunks: 7))
            try await expect(
                rows(
                    store,
                    "SELECT outcome, decided_by, reason, chunks FROM episodes WHERE boot = 'b1' AND robot = 'r1'"
                ),
                is: [["success", "simulator", "box on the conveyor", "100"]]
            )
        }
        #expect(metrics.render().contains("groot_gateway_store_closed_episodes_total{reason=\"restarted\"} 1"))
    }

    @Test func anEpisodeIsClosedWhenNothingIsHeardOfItsAgent() async throws {
        try await withStore(location()) { store in
            let (silent, speaking, young) = (UUID(), UUID(), UUID())
            for (episode, boot) in [(silent, "b1"), (speaking, "b2"), (young, "b3")] {
                var start = Sample.start(episode)
                start.boot = boot
                try await store.startEpisode(start)
                try await store.insertInferences([InferenceRow(robot: "r1", boot: boot, sequence: 1, episode: episode)])
            }
            _ = try await rows(
                store,
                "UPDATE episodes SET recorded_at = now() - interval '2 hours' WHERE boot IN ('b1', 'b2')"
            )
            _ = try await rows(
                store,
                "UPDATE telemetry_boots SET last_received_at = now() - interval '61 minutes' WHERE boot <> 'b2'"
            )
            try await expect(store.closeSilentEpisodes(), is: [silent.uuidString.lowercased()])
            try await expect(store.closeSilentEpisodes(), is: [])
            try await expect(
                rows(store, "SELECT outcome, decided_by, reason FROM episodes WHERE outcome IS NOT NULL"),
                is: [["aborted", "gateway", "nothing was heard of the agent for 01:00:00"]]
            )
        }
    }

    @Test func absurdNumbersAndTenThousandGapsCostNothing() async throws {
        let metrics = MetricsRegistry()
        try await withStore(location(), metrics: metrics) { store in
            let sparse = (0..<10_000).map { InferenceRow(robot: "r1", boot: "b1", sequence: Int64($0) * 1_000_000 + 5) }
            try await expect(store.insertInferences(sparse), is: 10_000)
            let ranges = "SELECT count(*) FROM telemetry_boots, unnest(committed) WHERE boot = 'b1'"
            let count = try await rows(store, ranges)[0][0].flatMap { Int($0) } ?? .max
            #expect(count <= Store.ledgerRanges)
            // What goes on from there is taken, and the last ones are still known.
            try await expect(store.insertInferences(Array(sparse.suffix(100))), is: 0)
            let next = (0..<100).map { InferenceRow(robot: "r1", boot: "b1", sequence: 10_000_000_000 + Int64($0)) }
            try await expect(store.insertInferences(next), is: 100)
            // The largest number that a column holds leaves no room for an end; it says so instead of ending the process.
            let error = await #expect(throws: StoreError.self) {
                try await store.insertInferences([InferenceRow(robot: "r1", boot: "b1", sequence: .max)])
            }
            #expect(error?.code == .invalidValue)
        }
        #expect(metrics.render().contains("groot_gateway_store_closed_gaps_total 1"))
    }

    @Test func quarantineKeepsOnceAndHasALimitPerRobot() async throws {
        var configuration = StoreConfiguration(location: try await location())
        configuration.quarantineLimit = 3
        try await withStore(configuration) { store in
            let record = QuarantinedRecord(
                kind: "Event",
                sequence: .max,
                reason: "sequence: absurd",
                record: [0, 255, 7]
            )
            for expected in [1, 0] {
                try await expect(store.quarantine([record], robot: "r1", boot: "b1"), is: expected)
            }
            try await expect(
                rows(store, "SELECT robot, boot, kind, sequence, reason, encode(record, 'hex') FROM quarantine"),
                is: [["r1", "b1", "Event", "18446744073709551615", "sequence: absurd", "00ff07"]]
            )
            for byte in UInt8(1)...2 {
                var other = record
                other.record = [byte]
                try await store.quarantine([other], robot: "r1", boot: "b1")
            }
            var fourth = record
            fourth.record = [9]
            let error = await #expect(throws: StoreError.self) {
                try await store.quarantine([fourth], robot: "r1", boot: "b1")
            }
            #expect(error?.code == .conflict && error?.message.contains("quarantine-limit") == true)
            // What is there already still counts as kept, and another robot has room of its own.
            try await expect(store.quarantine([record], robot: "r1", boot: "b1"), is: 0)
            try await expect(store.quarantine([fourth], robot: "r2", boot: "b1"), is: 1)
            try await expect(
                rows(store, "SELECT robot, quarantined_records FROM telemetry_boots ORDER BY robot"),
                is: [["r1", "3"], ["r2", "1"]]
            )
        }
    }
}

extension Array where Element: Sendable {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
