DROP VIEW episode_metrics;
DROP FUNCTION maintain_partitions;
DROP TABLE retention;
DROP TABLE events;
DROP TABLE control_samples;
ALTER TABLE inferences RENAME TO inferences_partitioned;
DROP INDEX inferences_episode, inferences_captured_at, inferences_request, inferences_starved, inferences_failed;
CREATE TABLE inferences (
    robot text NOT NULL,
    boot text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    episode_id uuid,
    request_id text NOT NULL,
    observation_index bigint NOT NULL,
    worker text NOT NULL,
    checkpoint text NOT NULL,
    captured_at timestamptz NOT NULL,
    latency_ns bigint NOT NULL,
    runway_at_send_ns bigint NOT NULL,
    runway_at_arrival_ns bigint NOT NULL,
    chunk_rows integer NOT NULL,
    stale_rows integer NOT NULL,
    attempts integer NOT NULL,
    skew_ns bigint NOT NULL,
    encode_ns bigint NOT NULL,
    round_trip_ns bigint NOT NULL,
    worker_queue_ns bigint NOT NULL,
    worker_decode_ns bigint NOT NULL,
    worker_preprocess_ns bigint NOT NULL,
    worker_infer_ns bigint NOT NULL,
    worker_postprocess_ns bigint NOT NULL,
    worker_encode_ns bigint NOT NULL,
    batch_size integer NOT NULL,
    status text NOT NULL,
    message text NOT NULL,
    request_bytes bigint NOT NULL,
    PRIMARY KEY (robot, boot, sequence)
);
CREATE INDEX inferences_episode ON inferences (episode_id);
CREATE INDEX inferences_captured_at ON inferences USING brin (captured_at);
CREATE INDEX inferences_request ON inferences (request_id);
COMMENT ON TABLE inferences IS 'One row per inference request of an agent; (robot, boot, sequence) makes repeated reports harmless.';
COMMENT ON COLUMN inferences.robot IS 'Robot that asked.';
COMMENT ON COLUMN inferences.boot IS 'Start of its agent.';
COMMENT ON COLUMN inferences.sequence IS 'Counts the records of one boot.';
COMMENT ON COLUMN inferences.episode_id IS 'Episode it belongs to; its row may arrive later.';
COMMENT ON COLUMN inferences.request_id IS 'The same id stands in the logs of agent, gateway and worker.';
COMMENT ON COLUMN inferences.observation_index IS 'Counts observations of the episode.';
COMMENT ON COLUMN inferences.worker IS 'Worker that answered; empty when none did.';
COMMENT ON COLUMN inferences.checkpoint IS 'Checkpoint that answered.';
COMMENT ON COLUMN inferences.captured_at IS 'The agent''s wall clock when the observation was captured.';
COMMENT ON COLUMN inferences.latency_ns IS 'Capture of the observation until its chunk was merged, on the agent''s monotonic clock.';
COMMENT ON COLUMN inferences.runway_at_send_ns IS 'Motion time left when the request was sent.';
COMMENT ON COLUMN inferences.runway_at_arrival_ns IS 'Motion time left when the chunk arrived; negative: the robot was starved for so long.';
COMMENT ON COLUMN inferences.chunk_rows IS 'Rows of the chunk.';
COMMENT ON COLUMN inferences.stale_rows IS 'Rows that were already in the past when the chunk was merged.';
COMMENT ON COLUMN inferences.attempts IS 'Attempts the gateway made.';
COMMENT ON COLUMN inferences.skew_ns IS 'Largest difference between the stamps of what was put into the observation.';
COMMENT ON COLUMN inferences.encode_ns IS 'Time the agent took to encode the request.';
COMMENT ON COLUMN inferences.round_trip_ns IS 'Request sent until answer received, at the agent.';
COMMENT ON COLUMN inferences.worker_queue_ns IS 'Waiting time in the worker.';
COMMENT ON COLUMN inferences.worker_decode_ns IS 'Decoding in the worker.';
COMMENT ON COLUMN inferences.worker_preprocess_ns IS 'Preprocessing in the worker.';
COMMENT ON COLUMN inferences.worker_infer_ns IS 'The policy itself.';
COMMENT ON COLUMN inferences.worker_postprocess_ns IS 'Postprocessing in the worker.';
COMMENT ON COLUMN inferences.worker_encode_ns IS 'Encoding the answer in the worker.';
COMMENT ON COLUMN inferences.batch_size IS 'Requests that shared the run of the policy.';
COMMENT ON COLUMN inferences.status IS 'gRPC status name; OK when the chunk was merged.';
COMMENT ON COLUMN inferences.message IS 'What went wrong, when something did.';
COMMENT ON COLUMN inferences.request_bytes IS 'Size of the encoded request.';

INSERT INTO inferences (robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint,
    captured_at, latency_ns, runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns,
    encode_ns, round_trip_ns, worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns,
    worker_postprocess_ns, worker_encode_ns, batch_size, status, message, request_bytes)
SELECT robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint, captured_at, latency_ns,
    runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns, encode_ns, round_trip_ns,
    worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns, worker_postprocess_ns, worker_encode_ns,
    batch_size, status, message, request_bytes
FROM inferences_partitioned;
DROP TABLE inferences_partitioned;
DROP TABLE telemetry_boots;
CREATE VIEW episode_metrics AS
SELECT
    e.robot,
    e.task,
    coalesce(e.outcome, 'running') AS outcome,
    round(e.duration_ns / 1e9, 2) AS duration_s,
    coalesce(e.chunks, m.recorded_chunks) AS chunks,
    e.starved_ticks,
    round(100.0 * e.starved_ticks / nullif(e.ticks, 0), 2) AS starved_percent,
    round((m.latency_p50_ns / 1e6)::numeric, 1) AS latency_p50_ms,
    round((m.latency_p99_ns / 1e6)::numeric, 1) AS latency_p99_ms,
    w.worker_share,
    e.checkpoint,
    e.started_at,
    e.outcome IN ('success', 'refused') AS is_success,
    e.mode,
    e.scene_seed,
    e.ticks,
    e.missed_cycles,
    e.limited_ticks,
    e.failed_inferences,
    m.recorded_chunks,
    e.reason,
    e.decided_by,
    e.finished_at,
    e.checkpoint_sha256,
    e.run_config_sha256,
    e.episode_id
FROM episodes AS e
CROSS JOIN LATERAL (
    SELECT
        count(*) AS recorded_chunks,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.latency_ns) AS latency_p50_ns,
        percentile_cont(0.99) WITHIN GROUP (ORDER BY i.latency_ns) AS latency_p99_ns
    FROM inferences AS i
    WHERE i.episode_id = e.episode_id AND i.status = 'OK'
) AS m
CROSS JOIN LATERAL (
    SELECT
        string_agg(format('%s %s %%', s.worker, round(100.0 * s.n / s.total)), ', ' ORDER BY s.n DESC, s.worker)
            AS worker_share
    FROM (
        SELECT i.worker, count(*) AS n, sum(count(*)) OVER () AS total
        FROM inferences AS i
        WHERE i.episode_id = e.episode_id AND i.status = 'OK'
        GROUP BY i.worker
    ) AS s
) AS w;
COMMENT ON VIEW episode_metrics IS 'One row per episode with its figures ready to read. Examples: docs/sql.md.';
COMMENT ON COLUMN episode_metrics.robot IS 'Robot.';
COMMENT ON COLUMN episode_metrics.task IS 'The sentence given to the policy.';
COMMENT ON COLUMN episode_metrics.outcome IS 'success, dropped, wrong_box, timeout, refused, aborted, failure, or running.';
COMMENT ON COLUMN episode_metrics.duration_s IS 'Seconds.';
COMMENT ON COLUMN episode_metrics.chunks IS 'Action chunks merged; counted from the records while the episode runs.';
COMMENT ON COLUMN episode_metrics.starved_ticks IS 'Control ticks without an action to execute.';
COMMENT ON COLUMN episode_metrics.starved_percent IS 'The same, in percent of all ticks.';
COMMENT ON COLUMN episode_metrics.latency_p50_ms IS 'Median of observation capture to chunk merged, in milliseconds.';
COMMENT ON COLUMN episode_metrics.latency_p99_ms IS '99th percentile of the same.';
COMMENT ON COLUMN episode_metrics.worker_share IS 'Who answered, e.g. w1 52 %, w2 48 %.';
COMMENT ON COLUMN episode_metrics.checkpoint IS 'Name of the checkpoint.';
COMMENT ON COLUMN episode_metrics.started_at IS 'The agent''s wall clock.';
COMMENT ON COLUMN episode_metrics.is_success IS 'Success, or rightly refused; null while running.';
COMMENT ON COLUMN episode_metrics.mode IS 'async or sync.';
COMMENT ON COLUMN episode_metrics.scene_seed IS 'Seed of the simulated scene; null on a real robot.';
COMMENT ON COLUMN episode_metrics.ticks IS 'Control ticks of the episode.';
COMMENT ON COLUMN episode_metrics.missed_cycles IS 'Ticks that the control thread skipped because it was late.';
COMMENT ON COLUMN episode_metrics.limited_ticks IS 'Ticks whose action the safety gate changed.';
COMMENT ON COLUMN episode_metrics.failed_inferences IS 'Inference requests that brought no usable chunk.';
COMMENT ON COLUMN episode_metrics.recorded_chunks IS 'Records that are here; equals chunks when all telemetry of a finished episode has arrived.';
COMMENT ON COLUMN episode_metrics.reason IS 'Why it ended, in words.';
COMMENT ON COLUMN episode_metrics.decided_by IS 'simulator, operator or agent.';
COMMENT ON COLUMN episode_metrics.finished_at IS 'The agent''s wall clock.';
COMMENT ON COLUMN episode_metrics.checkpoint_sha256 IS 'See checkpoints.';
COMMENT ON COLUMN episode_metrics.run_config_sha256 IS 'See run_configs.';
COMMENT ON COLUMN episode_metrics.episode_id IS 'See episodes and inferences.';
