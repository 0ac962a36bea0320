import Foundation
import GrootCore
import GrootStore
import Logging

enum Sample {
    static func start(_ episode: UUID, robot: String = "r1", config: String = #"{"mode": "async"}"#) -> EpisodeStart {
        EpisodeStart(
            episode: episode,
            robot: robot,
            boot: "b1",
            task: "Depalletize the green box",
            checkpoint: "groot-mini",
            checkpointSHA256: "abc",
            runConfigJSON: config,
            mode: .async,
            sceneSeed: 7,
            startedAtUnixNanoseconds: 1_700_000_000_123_456_789
        )
    }

    static func finish(_ episode: UUID, robot: String = "r1", chunks: Int64 = 100) -> EpisodeFinish {
        EpisodeFinish(
            episode: episode,
            robot: robot,
            outcome: .success,
            reason: "box on the conveyor",
            decidedBy: .simulator,
            finishedAtUnixNanoseconds: 1_700_000_010_000_000_000,
            durationNanoseconds: 9_876_543_210,
            ticks: 1000,
            starvedTicks: 5,
            missedCycles: 2,
            limitedTicks: 3,
            chunks: chunks,
            failedInferences: 1
        )
    }

    /// 100 chunks with latencies 1 … 100 ms, the first 52 from w1, and one that failed.
    static func inferences(_ episode: UUID, robot: String = "r1", boot: String = "b1") -> [InferenceRow] {
        var rows = (1...100).map { number -> InferenceRow in
            var row = InferenceRow(robot: robot, boot: boot, sequence: Int64(number), episode: episode)
            row.requestID = "q\(number)"
            row.observationIndex = Int64(number)
            row.worker = number <= 52 ? "w1" : "w2"
            row.checkpoint = "groot-mini"
            row.capturedAtUnixNanoseconds = 1_700_000_000_000_000_000 + Int64(number) * 100_000_000
            row.latency = Int64(number) * 1_000_000
            row.runwayAtSend = 400_000_000
            row.runwayAtArrival = 300_000_000 - Int64(number) * 4_000_000
            row.workerInfer = 20_000_000
            row.roundTrip = 50_000_000
            row.batchSize = 2
            row.rows = 16
            return row
        }
        var failed = InferenceRow(robot: robot, boot: boot, sequence: 101, episode: episode)
        failed.status = "UNAVAILABLE"
        failed.message = "no worker\tis \\ there\nyet"
        failed.latency = 9_000_000_000
        rows.append(failed)
        return rows
    }
}

/// A store on a database of its own, running until `body` returns.
func withStore<Result: Sendable>(
    _ location: StoreConfiguration.Location,
    metrics: MetricsRegistry = MetricsRegistry(),
    _ body: @Sendable (Store) async throws -> Result
) async throws -> Result {
    try await withStore(StoreConfiguration(location: location), metrics: metrics, body)
}

func withStore<Result: Sendable>(
    _ configuration: StoreConfiguration,
    metrics: MetricsRegistry = MetricsRegistry(),
    _ body: @Sendable (Store) async throws -> Result
) async throws -> Result {
    var configuration = configuration
    configuration.probeInterval = .milliseconds(100)
    configuration.tuning.syncToDisk = false
    let store = Store(configuration: configuration, logger: Logger(label: "test"), metrics: metrics)
    return try await withThrowingTaskGroup(of: Void.self, returning: Result.self) { group in
        group.addTask { try await store.run() }
        try await store.waitUntilReady(timeout: .seconds(60))
        let result = try await body(store)
        group.cancelAll()
        // run() ends with CancellationError, which is what was asked for.
        try? await group.waitForAll()
        return result
    }
}
