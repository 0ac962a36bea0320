import Foundation
import GrootStore
import Testing

/// The views against figures that were worked out by hand; the working stands beside each.
@Suite(.needsPostgres)
struct ViewsTests {
    private func connection() async throws -> PostgresConnection {
        let url = try await TestCluster.shared.migratedDatabase()
        let connection = try PostgresConnection(conninfo: url, timeout: .seconds(20))
        try connection.executeScript("INSERT INTO robots (robot) VALUES ('r1'), ('r2')")
        return connection
    }

    private func rows(_ connection: PostgresConnection, _ sql: String) throws -> [[String?]] {
        try connection.execute(sql).rows.map(\.values)
    }

    @Test func robotDayAddsUpADayInUTC() async throws {
        let connection = try await connection()
        // The day ends at midnight UTC, whatever the session's time zone. An episode that runs has no figures yet.
        try connection.executeScript(
            """
            SET TIME ZONE 'Asia/Shanghai';
            INSERT INTO episodes (episode_id, robot, task, started_at, outcome, duration_ns, ticks, starved_ticks,
                missed_cycles, limited_ticks, chunks, failed_inferences)
            VALUES
                (gen_random_uuid(), 'r1', 't', '2026-03-01 00:00:00+00', 'success', 10000000000, 1000, 10, 1, 4, 30, 0),
                (gen_random_uuid(), 'r1', 't', '2026-03-01 12:00:00+00', 'refused', 5000000000, 500, 0, 0, 0, 15, 1),
                (gen_random_uuid(), 'r1', 't', '2026-03-01 18:00:00+00', 'dropped', 20000000000, 2000, 90, 2, 0, 55, 2),
                (gen_random_uuid(), 'r1', 't', '2026-03-01 20:00:00+00', 'aborted', 1000000000, 100, 0, 0, 0, 2, 0),
                (gen_random_uuid(), 'r1', 't', '2026-03-01 23:59:59+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                (gen_random_uuid(), 'r1', 't', '2026-03-02 00:00:00+00', 'timeout', 36000000000, 3600, 0, 0, 0, 99, 0),
                (gen_random_uuid(), 'r2', 't', '2026-03-01 08:00:00+00', 'success', 7000000000, 700, 7, 0, 0, 20, 0)
            """
        )
        let found = try rows(
            connection,
            """
            SELECT robot, day, episodes, successes, aborted, unfinished, success_percent, running_h, mean_success_s,
                chunks, starved_percent, missed_cycles, limited_ticks, failed_inferences
            FROM robot_day ORDER BY robot, day
            """
        )
        // r1, first day: 2 of 3 judged = 66.7 %; 36 s = 0.01 h; (10 + 5) / 2 = 7.5 s; 100 of 3600 ticks = 2.78 %.
        #expect(
            found == [
                ["r1", "2026-03-01", "5", "2", "1", "1", "66.7", "0.01", "7.5", "102", "2.78", "3", "4", "3"],
                ["r1", "2026-03-02", "1", "0", "0", "0", "0.0", "0.01", nil, "99", "0.00", "0", "0", "0"],
                ["r2", "2026-03-01", "1", "1", "0", "0", "100.0", "0.00", "7.0", "20", "1.00", "0", "0", "0"],
            ]
        )
    }

    /// Rows of `inferences`; durations in milliseconds.
    private func infer(
        _ connection: PostgresConnection,
        robot: String = "r1",
        episode: UUID? = nil,
        _ values: [(sequence: Int, changes: String)]
    ) throws {
        for value in values {
            try connection.executeScript(
                """
                INSERT INTO inferences SELECT (jsonb_populate_record(NULL::inferences, jsonb_build_object(
                    'recorded_at', now(), 'robot', '\(robot)', 'boot', 'b1', 'sequence', \(value.sequence),
                    'episode_id', \(episode.map { "'\($0)'" } ?? "NULL"), 'request_id', 'q\(value.sequence)',
                    'observation_index', \(value.sequence), 'worker', 'w1', 'checkpoint', 'c',
                    'captured_at', '2026-03-01 10:00:00+00', 'latency_ns', 60e6, 'runway_at_send_ns', 400e6,
                    'runway_at_arrival_ns', 300e6, 'chunk_rows', 16, 'stale_rows', 0, 'attempts', 1, 'skew_ns', 0,
                    'encode_ns', 2e6, 'round_trip_ns', 50e6, 'worker_queue_ns', 5e6, 'worker_decode_ns', 1e6,
                    'worker_preprocess_ns', 1e6, 'worker_infer_ns', 20e6, 'worker_postprocess_ns', 1e6,
                    'worker_encode_ns', 1e6, 'batch_size', 1, 'status', 'OK', 'message', '', 'request_bytes', 1,
                    'prefix_rows', 0, 'frozen_rows', 0, 'hedged', false, 'checkpoint_sha256', '',
                    'clock_corrected', false
                ) || '\(value.changes)'::jsonb)).*
                """
            )
        }
    }

    @Test func workerUtilizationCountsABatchOnce() async throws {
        let connection = try await connection()
        // One batch of 4 that ran 40 s, one of 1 that ran 20 s: 60 s busy in the hour = 1.7 %.
        let batch = #""worker_infer_ns": 40000000000, "batch_size": 4"#
        try infer(
            connection,
            [
                (1, "{\(batch), \"worker_queue_ns\": 1000000}"), (2, "{\(batch), \"worker_queue_ns\": 3000000}"),
                (3, "{\(batch), \"worker_queue_ns\": 5000000, \"attempts\": 2}"),
                (4, "{\(batch), \"worker_queue_ns\": 7000000, \"hedged\": true}"),
                // The next hour, and a request that brought nothing.
                (5, #"{"captured_at": "2026-03-01 11:00:00+00"}"#), (6, #"{"status": "UNAVAILABLE"}"#),
            ]
        )
        try infer(connection, robot: "r2", [(1, #"{"worker_infer_ns": 20000000000, "worker_queue_ns": 9000000}"#)])
        let found = try rows(
            connection,
            """
            SELECT worker, hour AT TIME ZONE 'UTC', chunks, robots, busy_s, busy_percent, mean_batch, queue_p50_ms,
                queue_p99_ms, infer_p50_ms, infer_p99_ms, retried, hedged
            FROM worker_utilization ORDER BY hour
            """
        )
        // Queues 1 3 5 7 9: median 5, 99th percentile at rank 3.96 from 0: 7 + 0.96 * 2 = 8.92.
        // Batches (4 + 4 + 4 + 4 + 1) / 5 = 3.4. Times 20 40 40 40 40 s.
        #expect(
            found == [
                [
                    "w1", "2026-03-01 10:00:00", "5", "2", "60.0", "1.7", "3.4", "5.0", "8.9", "40000.0", "40000.0",
                    "1", "1",
                ],
                ["w1", "2026-03-01 11:00:00", "1", "1", "0.0", "0.0", "1.0", "5.0", "5.0", "20.0", "20.0", "0", "0"],
            ]
        )
    }

    @Test func checkpointComparisonHasWilsonIntervalsAndSaysWhatIsMoreThanChance() async throws {
        let connection = try await connection()
        try connection.executeScript(
            """
            INSERT INTO checkpoints (sha256, name) SELECT name, name FROM unnest('{old,good,few,bad}'::text[]) AS name;
            INSERT INTO episodes (episode_id, robot, task, checkpoint, checkpoint_sha256, started_at, outcome, duration_ns,
                ticks, starved_ticks)
            SELECT gen_random_uuid(), 'r1', 'green', c.name, c.name, c.first + n * interval '1 minute',
                CASE WHEN n <= c.successes THEN 'success' WHEN n <= c.episodes THEN 'dropped' ELSE 'aborted' END,
                8000000000, 800, 8
            FROM (VALUES
                ('old', timestamptz '2026-01-01', 50, 100), ('good', timestamptz '2026-02-01', 90, 100),
                ('few', timestamptz '2026-02-01', 8, 10), ('bad', timestamptz '2026-02-01', 0, 3)
            ) AS c (name, first, successes, episodes),
                -- Two more that were aborted say nothing about the policy.
                generate_series(1, c.episodes + 2) AS n
            """
        )
        let found = try rows(
            connection,
            """
            SELECT checkpoint, episodes, successes, success_percent, low_percent, high_percent, reference,
                difference_points, difference_low_points, difference_high_points, more_than_chance, mean_success_s,
                starved_percent
            FROM checkpoint_comparison ORDER BY checkpoint
            """
        )
        // z = 1.959964, z^2 = 3.841459. Wilson: (s + z^2/2 +- z sqrt(s (n - s) / n + z^2/4)) / (n + z^2).
        //   50 of 100: 0.5 +- 1.959964 sqrt(25.960365) / 103.841459 = 0.5 +- 0.096168
        //   90 of 100: 91.920729 / 103.841459 +- 1.959964 sqrt(9.960365) / 103.841459 = 0.885203 +- 0.059568
        //    8 of 10: 9.920729 / 13.841459 +- 1.959964 sqrt(2.560365) / 13.841459 = 0.716740 +- 0.226578
        //    0 of 3: 1.920729 / 6.841459 +- the same = 0 and 0.561497
        // Newcombe against old (the earlier of two with 100 episodes):
        //   good: 0.4 - sqrt(0.074365^2 + 0.096168^2) = 0.278433; 0.4 + sqrt(0.044771^2 + 0.096168^2) = 0.506079
        //    few: 0.3 - sqrt(0.309838^2 + 0.096168^2) = -0.024419; 0.3 + sqrt(0.143318^2 + 0.096168^2) = 0.472593
        //    bad: -0.5 - 0.096168 = -0.596168; -0.5 + sqrt(0.561497^2 + 0.096168^2) = 0.069673
        #expect(
            found == [
                ["bad", "3", "0", "0.0", "0.0", "56.1", "old", "-50.0", "-59.6", "7.0", "f", nil, "1.00"],
                ["few", "10", "8", "80.0", "49.0", "94.3", "old", "30.0", "-2.4", "47.3", "f", "8.0", "1.00"],
                ["good", "100", "90", "90.0", "82.6", "94.5", "old", "40.0", "27.8", "50.6", "t", "8.0", "1.00"],
                ["old", "100", "50", "50.0", "40.4", "59.6", nil, nil, nil, nil, nil, "8.0", "1.00"],
            ]
        )
    }

    @Test func starvationCausesNamesTheStageThatGrew() async throws {
        let connection = try await connection()
        let (episode, other) = (UUID(), UUID())
        // Usual: encode 2, queue 5, infer 20, network 50 - 5 - 1 - 1 - 20 - 1 - 1 = 21, merge 60 - 2 - 50 = 8 ms.
        try infer(
            connection,
            episode: episode,
            [
                (1, "{}"), (2, "{}"), (3, "{}"),
                // 300 ms in the worker's queue.
                (
                    4,
                    #"{"runway_at_arrival_ns": -150000000, "worker_queue_ns": 300000000, "round_trip_ns": 345000000, "latency_ns": 355000000}"#
                ),
                // A network that took 521 ms; the queue was longer than usual, too.
                (
                    5,
                    #"{"runway_at_arrival_ns": -250000000, "worker_queue_ns": 9000000, "round_trip_ns": 554000000, "latency_ns": 564000000, "attempts": 2}"#
                ),
                // Two failed requests of 400 ms each right before a chunk that was quick itself.
                (6, #"{"status": "UNAVAILABLE", "latency_ns": 400000000}"#),
                (7, #"{"status": "DEADLINE_EXCEEDED", "latency_ns": 400000000}"#),
                (8, #"{"runway_at_arrival_ns": -700000000, "runway_at_send_ns": -640000000}"#),
            ]
        )
        // Nothing was in time: nothing is usual, and the longest stage counts.
        try infer(
            connection,
            robot: "r2",
            episode: other,
            [(1, #"{"runway_at_arrival_ns": -10000000, "worker_infer_ns": 30000000, "round_trip_ns": 50000000}"#)]
        )
        let found = try rows(
            connection,
            """
            SELECT robot, request_id, starved_ms, cause, cause_ms, usual_ms, runway_at_send_ms, latency_ms, attempts
            FROM starvation_causes ORDER BY robot, request_id
            """
        )
        #expect(
            found == [
                ["r1", "q4", "150.0", "worker_queue", "300.0", "5.0", "400.0", "355.0", "1"],
                ["r1", "q5", "250.0", "network", "521.0", "21.0", "400.0", "564.0", "2"],
                ["r1", "q8", "700.0", "failed_requests", "800.0", "0.0", "-640.0", "60.0", "1"],
                ["r2", "q1", "10.0", "worker_infer", "30.0", "0.0", "400.0", "60.0", "1"],
            ]
        )
    }
}
