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
    e.episode_id,
    e.run_config_name,
    e.run_config_version,
    e.notes
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
COMMENT ON COLUMN episode_metrics.mode IS 'async, sync or rtc.';
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
COMMENT ON COLUMN episode_metrics.run_config_name IS 'The assigned run config that it started from; null without one.';
COMMENT ON COLUMN episode_metrics.run_config_version IS 'Its version.';
COMMENT ON COLUMN episode_metrics.notes IS 'What the operator wrote.';

CREATE OR REPLACE VIEW checkpoint_comparison AS
WITH counted AS (
    SELECT
        e.task, e.checkpoint, e.checkpoint_sha256,
        count(*) AS episodes,
        count(*) FILTER (WHERE e.outcome IN ('success', 'refused')) AS successes,
        avg(e.duration_ns) FILTER (WHERE e.outcome IN ('success', 'refused')) AS mean_success_ns,
        100.0 * sum(e.starved_ticks) / nullif(sum(e.ticks), 0) AS starved_percent,
        min(e.started_at) AS first_started_at
    FROM episodes AS e
    -- An aborted episode says nothing about the policy.
    WHERE e.outcome IS NOT NULL AND e.outcome <> 'aborted' AND e.task IS NOT NULL
    GROUP BY e.task, e.checkpoint, e.checkpoint_sha256
), rated AS (
    SELECT
        c.*, c.successes::float8 / c.episodes AS rate,
        wilson_low(c.successes, c.episodes) AS low, wilson_high(c.successes, c.episodes) AS high,
        -- The one with the most episodes is what the others are measured against.
        first_value(c.checkpoint_sha256) OVER most AS reference_sha256,
        first_value(c.checkpoint) OVER most AS reference
    FROM counted AS c
    WINDOW most AS (PARTITION BY c.task ORDER BY c.episodes DESC, c.first_started_at, c.checkpoint_sha256)
), compared AS (
    SELECT
        a.*, a.rate - b.rate AS difference,
        -- Newcombe's interval of a difference, from the two Wilson intervals.
        a.rate - b.rate - sqrt((a.rate - a.low) ^ 2 + (b.high - b.rate) ^ 2) AS difference_low,
        a.rate - b.rate + sqrt((a.high - a.rate) ^ 2 + (b.rate - b.low) ^ 2) AS difference_high
    FROM rated AS a
    LEFT JOIN rated AS b
        ON b.task = a.task AND b.checkpoint IS NOT DISTINCT FROM a.reference
        AND b.checkpoint_sha256 IS NOT DISTINCT FROM a.reference_sha256
        AND (a.checkpoint, a.checkpoint_sha256) IS DISTINCT FROM (a.reference, a.reference_sha256)
)
SELECT
    c.task, c.checkpoint, c.episodes, c.successes,
    round((100 * c.rate)::numeric, 1) AS success_percent,
    round((100 * c.low)::numeric, 1) AS low_percent,
    round((100 * c.high)::numeric, 1) AS high_percent,
    CASE WHEN c.difference IS NOT NULL THEN c.reference END AS reference,
    round((100 * c.difference)::numeric, 1) AS difference_points,
    round((100 * c.difference_low)::numeric, 1) AS difference_low_points,
    round((100 * c.difference_high)::numeric, 1) AS difference_high_points,
    c.difference_low > 0 OR c.difference_high < 0 AS more_than_chance,
    round((c.mean_success_ns / 1e9)::numeric, 1) AS mean_success_s,
    round(c.starved_percent, 2) AS starved_percent,
    c.checkpoint_sha256
FROM compared AS c;
COMMENT ON VIEW checkpoint_comparison IS 'One row per task and checkpoint: success rate with its 95 % interval, and the difference to the checkpoint with the most episodes.';
COMMENT ON COLUMN checkpoint_comparison.episodes IS 'Judged episodes; aborted ones are left out.';

CREATE OR REPLACE VIEW starvation_causes AS
SELECT
    late.robot, late.captured_at, late.episode_id, late.worker, late.checkpoint,
    round(-late.runway_at_arrival_ns / 1e6, 1) AS starved_ms,
    worst.cause,
    round((worst.took / 1e6)::numeric, 1) AS cause_ms,
    round((worst.usual / 1e6)::numeric, 1) AS usual_ms,
    round(late.runway_at_send_ns / 1e6, 1) AS runway_at_send_ms,
    round(late.latency_ns / 1e6, 1) AS latency_ms,
    late.attempts, late.batch_size, late.request_id
FROM inferences AS late
CROSS JOIN LATERAL (
    SELECT
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.encode_ns) AS agent_encode,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(i.round_trip_ns - i.worker_queue_ns - i.worker_decode_ns
            - i.worker_preprocess_ns - i.worker_infer_ns - i.worker_postprocess_ns - i.worker_encode_ns, 0)) AS network,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_queue_ns) AS worker_queue,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_decode_ns) AS worker_decode,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_preprocess_ns) AS worker_preprocess,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_infer_ns) AS worker_infer,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_postprocess_ns) AS worker_postprocess,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_encode_ns) AS worker_encode,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(i.latency_ns - i.encode_ns - i.round_trip_ns, 0))
            AS agent_merge
    FROM inferences AS i
    WHERE i.episode_id = late.episode_id AND i.status = 'OK' AND i.runway_at_arrival_ns >= 0
) AS median
CROSS JOIN LATERAL (
    -- The time since the first of an unbroken row of failed requests right before this one.
    SELECT coalesce(sum(before.latency_ns), 0)::float8 AS took
    FROM inferences AS before
    WHERE before.episode_id = late.episode_id AND before.status <> 'OK' AND before.sequence < late.sequence
        AND before.boot = late.boot AND before.sequence > coalesce((
            SELECT max(good.sequence) FROM inferences AS good
            WHERE good.episode_id = late.episode_id AND good.boot = late.boot AND good.status = 'OK'
                AND good.sequence < late.sequence
        ), -1)
) AS failed
CROSS JOIN LATERAL (
    SELECT stage.cause, stage.took, coalesce(stage.usual, 0) AS usual
    FROM (
        VALUES
            ('failed_requests', failed.took, 0::float8),
            ('agent_encode', late.encode_ns::float8, median.agent_encode),
            (
                'network', greatest(late.round_trip_ns - late.worker_queue_ns - late.worker_decode_ns
                    - late.worker_preprocess_ns - late.worker_infer_ns - late.worker_postprocess_ns
                    - late.worker_encode_ns, 0)::float8, median.network
            ),
            ('worker_queue', late.worker_queue_ns::float8, median.worker_queue),
            ('worker_decode', late.worker_decode_ns::float8, median.worker_decode),
            ('worker_preprocess', late.worker_preprocess_ns::float8, median.worker_preprocess),
            ('worker_infer', late.worker_infer_ns::float8, median.worker_infer),
            ('worker_postprocess', late.worker_postprocess_ns::float8, median.worker_postprocess),
            ('worker_encode', late.worker_encode_ns::float8, median.worker_encode),
            (
                'agent_merge', greatest(late.latency_ns - late.encode_ns - late.round_trip_ns, 0)::float8,
                median.agent_merge
            )
    ) AS stage (cause, took, usual)
    ORDER BY stage.took - coalesce(stage.usual, 0) DESC, stage.cause
    LIMIT 1
) AS worst
WHERE late.status = 'OK' AND late.runway_at_arrival_ns < 0;

DROP TABLE quarantine;
ALTER TABLE telemetry_boots DROP COLUMN quarantined_records;
COMMENT ON COLUMN telemetry_boots.refused_records IS 'Records that the gateway refused for good; the agent''s log says why.';
DROP TABLE robot_boots;
DROP TABLE episode_checkpoints;
UPDATE episodes SET outcome = NULL, reason = NULL, decided_by = NULL, finished_at = NULL WHERE decided_by = 'gateway';
ALTER TABLE episodes DROP CONSTRAINT episodes_decided_by_check;
ALTER TABLE episodes ADD CONSTRAINT episodes_decided_by_check CHECK (decided_by IN ('simulator', 'operator', 'agent'));
COMMENT ON COLUMN episodes.decided_by IS 'Who judged: simulator, operator or agent.';
COMMENT ON COLUMN episodes.checkpoint_sha256 IS 'See checkpoints; null when the agent did not know it.';
ALTER TABLE episodes DROP COLUMN clock_corrected;
ALTER TABLE thumbnails DROP COLUMN clock_corrected;
ALTER TABLE events DROP COLUMN clock_corrected;
ALTER TABLE control_samples DROP COLUMN clock_corrected;
ALTER TABLE inferences DROP COLUMN clock_corrected, DROP COLUMN checkpoint_sha256;

CREATE OR REPLACE FUNCTION grant_roles() RETURNS TABLE (role text, state text) LANGUAGE plpgsql AS $$
DECLARE
    space text := current_schema();
    item record;
BEGIN
    FOREACH role IN ARRAY ARRAY['groot_migrator', 'groot_writer', 'groot_reader'] LOOP
        state := 'exists';
        IF to_regrole(role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
                state := 'created';
            EXCEPTION
                -- Another database of this server was quicker.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN state := 'missing: ask an administrator for CREATE ROLE';
            END;
        END IF;
        IF to_regrole(role) IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', space, role);
        END IF;
        RETURN NEXT;
    END LOOP;
    IF to_regrole('groot_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO groot_reader', space);
    END IF;
    IF to_regrole('groot_writer') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO groot_writer', space);
        GRANT INSERT ON inferences, control_samples, events, thumbnails TO groot_writer;
        GRANT INSERT, UPDATE ON robots, workers, worker_checkpoints, checkpoints, run_configs, run_config_versions,
            run_config_assignments, episodes, telemetry_boots TO groot_writer;
        GRANT EXECUTE ON FUNCTION maintain_partitions TO groot_writer;
    END IF;
    -- Migrations belong to the migrator, as far as who runs this may give its things away.
    IF to_regrole('groot_migrator') IS NOT NULL AND pg_has_role(current_user, 'groot_migrator', 'MEMBER') THEN
        EXECUTE format('GRANT CREATE ON SCHEMA %I TO groot_migrator', space);
        FOR item IN
            SELECT c.relname, c.relkind FROM pg_class AS c
            WHERE c.relnamespace = to_regnamespace(quote_ident(space)) AND c.relkind IN ('r', 'p', 'v')
                AND pg_has_role(current_user, c.relowner, 'MEMBER')
                AND pg_get_userbyid(c.relowner) <> 'groot_migrator'
                AND (c.relname IN (
                    'groot_migrations', 'robots', 'workers', 'worker_checkpoints', 'checkpoints', 'run_configs',
                    'run_config_versions', 'run_config_assignments', 'episodes', 'telemetry_boots', 'retention',
                    'inferences', 'control_samples', 'events', 'thumbnails', 'episode_metrics', 'robot_day', 'worker_utilization',
                    'checkpoint_comparison', 'starvation_causes'
                ) OR c.relispartition AND c.relname ~ '^(inferences|control_samples|events|thumbnails)_(default|[0-9]{8})$')
        LOOP
            EXECUTE format(
                'ALTER %s %I OWNER TO groot_migrator', CASE item.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, item.relname
            );
        END LOOP;
        FOR item IN
            SELECT p.oid::regprocedure AS signature FROM pg_proc AS p
            WHERE p.pronamespace = to_regnamespace(quote_ident(space))
                AND p.proname IN (
                    'maintain_partitions', 'grant_roles', 'keep_used_run_config', 'matches_pattern', 'wilson_low',
                    'wilson_high'
                )
                AND pg_has_role(current_user, p.proowner, 'MEMBER')
                AND pg_get_userbyid(p.proowner) <> 'groot_migrator'
        LOOP
            EXECUTE format('ALTER FUNCTION %s OWNER TO groot_migrator', item.signature);
        END LOOP;
    END IF;
END
$$;
