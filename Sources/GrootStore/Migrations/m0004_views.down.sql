DROP FUNCTION grant_roles;
DROP VIEW starvation_causes;
DROP VIEW checkpoint_comparison;
DROP VIEW worker_utilization;
DROP VIEW robot_day;
DROP FUNCTION wilson_low;
DROP FUNCTION wilson_high;
DROP VIEW episode_metrics;
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
