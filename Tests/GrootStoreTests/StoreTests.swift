import Foundation
import GrootCore
import GrootStore
import Logging
import Testing

@Suite(.needsPostgres)
struct StoreTests {
    private func rows(_ store: Store, _ sql: String) async throws -> [[String?]] {
        try await store.withConnection("test") { (connection) throws(StoreError) in
            try connection.execute(sql).rows.map(\.values)
        }
    }

    private func location() async throws -> StoreConfiguration.Location {
        .server(url: try await TestCluster.shared.database(), migrate: true)
    }

    @Test func viewShowsHandComputedFigures() async throws {
        try await withStore(location()) { store in
            let episode = UUID()
            try await store.startEpisode(Sample.start(episode))
            try await expect(
                rows(store, "SELECT outcome, chunks, worker_share FROM episode_metrics"),
                is: [
                    ["running", "0", nil]
                ]
            )
            try await expect(store.insertInferences(Sample.inferences(episode)), is: 101)
            try await store.finishEpisode(Sample.finish(episode))
            // Latencies 1 … 100 ms: median 50.5; 99th percentile at rank 1 + 0.99 * 99 = 99.01.
            let figures = try await rows(
                store,
                """
                SELECT robot, task, outcome, duration_s, chunks, starved_ticks, starved_percent, latency_p50_ms,
                    latency_p99_ms, worker_share, checkpoint, is_success, recorded_chunks,
                    extract(epoch FROM started_at)::text, run_config_sha256 IS NOT NULL
                FROM episode_metrics
                """
            )
            #expect(
                figures == [
                    [
                        "r1", "Depalletize the green box", "success", "9.88", "100", "5", "0.50", "50.5", "99.0",
                        "w1 52 %, w2 48 %", "groot-mini", "t", "100", "1700000000.123456", "t",
                    ]
                ]
            )
            let failed = try await rows(store, "SELECT message, status FROM inferences WHERE sequence = 101")
            #expect(failed == [["no worker\tis \\ there\nyet", "UNAVAILABLE"]])
        }
    }

    @Test func repeatedAndOverlappingBatchesStoreEachRecordOnce() async throws {
        let metrics = MetricsRegistry()
        try await withStore(location(), metrics: metrics) { store in
            let all = Sample.inferences(UUID())
            try await expect(store.insertInferences(Array(all[0..<60])), is: 60)
            try await expect(store.insertInferences(Array(all[0..<60])), is: 0)
            try await expect(store.insertInferences(Array(all[40...])), is: 41)
            var other = all[0]
            other.worker = "changed"
            try await expect(store.insertInferences([other]), is: 0)
            try await expect(
                rows(store, "SELECT count(*), count(*) FILTER (WHERE worker = 'changed') FROM inferences"),
                is: [["101", "0"]]
            )
        }
        #expect(metrics.render().contains("groot_gateway_store_rows_total{table=\"inferences\"} 101"))
    }

    @Test func concurrentOverlappingBatchesDoNotDeadlock() async throws {
        try await withStore(location()) { store in
            let all = Sample.inferences(UUID())
            let inserted = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<16 {
                    group.addTask { try await store.insertInferences(number % 2 == 0 ? all : all.reversed()) }
                }
                return try await group.reduce(0, +)
            }
            #expect(inserted == 101)
        }
    }

    @Test func largestBatchIsOneCommit() async throws {
        try await withStore(location()) { store in
            let episode = UUID()
            let batch = (0..<10_000).map { InferenceRow(robot: "r", boot: "b", sequence: $0, episode: episode) }
            let started = MonotonicInstant.now()
            let inserted = try await store.insertInferences(batch)
            #expect(inserted == 10_000)
            #expect(started.duration(to: .now()) < .seconds(10))
            try await expect(store.insertInferences(batch), is: 0)
        }
    }

    @Test func startAndFinishMayArriveInAnyOrderAndTwice() async throws {
        try await withStore(location()) { store in
            let (forward, backward) = (UUID(), UUID())
            for _ in 0..<2 {
                try await store.startEpisode(Sample.start(forward))
                try await store.finishEpisode(Sample.finish(forward))
                try await store.finishEpisode(Sample.finish(backward))
                try await store.startEpisode(Sample.start(backward))
                var late = Sample.finish(forward, chunks: 1)
                late.outcome = .failure
                try await store.finishEpisode(late)
            }
            let found = try await rows(
                store,
                """
                SELECT task, outcome, chunks::text, mode, count(*)::text FROM episodes
                GROUP BY task, outcome, chunks, mode
                """
            )
            #expect(found == [["Depalletize the green box", "success", "100", "async", "2"]])
        }
    }

    @Test func episodeOfAnotherRobotIsAConflict() async throws {
        try await withStore(location()) { store in
            let episode = UUID()
            try await store.startEpisode(Sample.start(episode))
            let start = await #expect(throws: StoreError.self) {
                try await store.startEpisode(Sample.start(episode, robot: "r2"))
            }
            let finish = await #expect(throws: StoreError.self) {
                try await store.finishEpisode(Sample.finish(episode, robot: "r2"))
            }
            #expect(start?.code == .conflict && finish?.code == .conflict)
            try await expect(rows(store, "SELECT robot, outcome FROM episodes"), is: [["r1", nil]])
        }
    }

    @Test func equalRunConfigurationsAreKeptOnceAndNeverChange() async throws {
        try await withStore(location()) { store in
            try await store.startEpisode(Sample.start(UUID(), config: #"{"a": 1, "b": [true]}"#))
            try await store.startEpisode(Sample.start(UUID(), config: #"{"b":[true],"a":1}"#))
            try await store.startEpisode(Sample.start(UUID(), config: #"{"a": 2}"#))
            try await expect(rows(store, "SELECT count(*) FROM run_configs"), is: [["2"]])
            await #expect(throws: StoreError.self) { _ = try await rows(store, "UPDATE run_configs SET config = '{}'") }
            let refused = await #expect(throws: StoreError.self) {
                try await store.startEpisode(Sample.start(UUID(), config: "[1]"))
            }
            #expect(refused?.code == .invalidValue)
        }
    }

    @Test func workersAndCheckpointsAreRemembered() async throws {
        try await withStore(location()) { store in
            let checkpoint = CheckpointRecord(
                sha256: "abc",
                name: "groot-mini",
                policyType: "groot_mini",
                runtime: "onnx",
                featuresJSON: #"{"action": {"shape": [16]}}"#,
                chunkSize: 16,
                actionPeriodNanoseconds: 100_000_000
            )
            // An episode may name a checkpoint before any worker described it.
            try await store.startEpisode(Sample.start(UUID()))
            for _ in 0..<2 {
                try await store.saveWorker(
                    WorkerRecord(worker: "w1", address: "127.0.0.1:8090", checkpoints: [checkpoint])
                )
            }
            try await store.registerRobot(
                RobotRecord(robot: "r1", boot: "b1", profile: "5_wheel", agentVersion: "1", host: "h")
            )
            let found = try await rows(
                store,
                """
                SELECT w.address, c.policy_type, c.features #>> '{action,shape,0}', r.profile
                FROM workers w JOIN worker_checkpoints wc USING (worker)
                JOIN checkpoints c ON c.sha256 = wc.checkpoint_sha256 JOIN robots r ON r.robot = 'r1'
                """
            )
            #expect(found == [["127.0.0.1:8090", "groot_mini", "16", "5_wheel"]])
        }
    }

    @Test func unreachableServerIsWaitedForAndSaidSo() async throws {
        let configuration = StoreConfiguration(
            location: .server(url: "postgres://nobody@127.0.0.1:1/x", migrate: false)
        )
        let store = Store(configuration: configuration, logger: .init(label: "test"), metrics: MetricsRegistry())
        let running = Task { try await store.run() }
        try await eventually("the reason names the connection") {
            store.notReadyReason?.contains("no connection") == true
        }
        let error = await #expect(throws: StoreError.self) {
            try await store.insertInferences(Sample.inferences(UUID()))
        }
        #expect(error?.code == .unavailable && error?.isTransient == true)
        running.cancel()
        _ = await running.result
    }
}
