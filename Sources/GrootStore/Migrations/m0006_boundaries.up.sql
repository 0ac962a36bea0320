-- What the boundaries need: which checkpoint answered, clocks that were wrong, records that could not be stored, the order
-- of an agent's starts, episodes that nobody ended; and views that believe only the episode's own robot.

-- The constant defaults rewrite no rows.
ALTER TABLE inferences
    ADD COLUMN checkpoint_sha256 text NOT NULL DEFAULT '',
    ADD COLUMN clock_corrected boolean NOT NULL DEFAULT false;
ALTER TABLE control_samples ADD COLUMN clock_corrected boolean NOT NULL DEFAULT false;
ALTER TABLE events ADD COLUMN clock_corrected boolean NOT NULL DEFAULT false;
ALTER TABLE thumbnails ADD COLUMN clock_corrected boolean NOT NULL DEFAULT false;
ALTER TABLE episodes ADD COLUMN clock_corrected boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN inferences.checkpoint_sha256 IS 'Digest of the checkpoint that answered; empty when none did.';
COMMENT ON COLUMN inferences.clock_corrected IS 'The robot''s clock was absurd: captured_at is the time of receipt.';
COMMENT ON COLUMN control_samples.clock_corrected IS 'The robot''s clock was absurd: sampled_at is the time of receipt.';
COMMENT ON COLUMN events.clock_corrected IS 'The robot''s clock was absurd: happened_at is the time of receipt.';
COMMENT ON COLUMN thumbnails.clock_corrected IS 'The robot''s clock was absurd: captured_at is the time of receipt.';
COMMENT ON COLUMN episodes.clock_corrected IS 'The robot''s clock was absurd: started_at or finished_at is the time of receipt.';

ALTER TABLE episodes DROP CONSTRAINT episodes_decided_by_check;
ALTER TABLE episodes ADD CONSTRAINT episodes_decided_by_check
    CHECK (decided_by IN ('simulator', 'operator', 'agent', 'gateway'));
COMMENT ON COLUMN episodes.decided_by IS 'Who judged: simulator, operator or agent; gateway when it closed an episode that its agent never ended.';
COMMENT ON COLUMN episodes.checkpoint_sha256 IS 'What the agent was told at the start, see checkpoints; null when it did not know. What answered: episode_checkpoints.';
COMMENT ON COLUMN episode_metrics.decided_by IS 'simulator, operator, agent or gateway.';

CREATE TABLE episode_checkpoints (
    episode_id uuid NOT NULL,
    robot text NOT NULL,
    checkpoint_sha256 text NOT NULL,
    checkpoint text NOT NULL,
    chunks bigint NOT NULL CHECK (chunks > 0),
    PRIMARY KEY (episode_id, robot, checkpoint_sha256)
);
CREATE INDEX episode_checkpoints_sha256 ON episode_checkpoints (checkpoint_sha256);
COMMENT ON TABLE episode_checkpoints IS 'Which checkpoint answered how many requests of an episode; kept as long as the episode.';
COMMENT ON COLUMN episode_checkpoints.episode_id IS 'See episodes; its row may arrive later.';
COMMENT ON COLUMN episode_checkpoints.robot IS 'Robot that asked.';
COMMENT ON COLUMN episode_checkpoints.checkpoint_sha256 IS 'Digest of the checkpoint that answered.';
COMMENT ON COLUMN episode_checkpoints.checkpoint IS 'Its name.';
COMMENT ON COLUMN episode_checkpoints.chunks IS 'Chunks of it that were merged.';

CREATE TABLE robot_boots (
    robot text NOT NULL REFERENCES robots,
    boot text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (robot, boot)
);
COMMENT ON TABLE robot_boots IS 'One row per start of an agent: in which order they were.';
COMMENT ON COLUMN robot_boots.robot IS 'See robots.';
COMMENT ON COLUMN robot_boots.boot IS 'Random id of the start.';
COMMENT ON COLUMN robot_boots.registered_at IS 'First registration.';

ALTER TABLE telemetry_boots
    ADD COLUMN quarantined_records bigint NOT NULL DEFAULT 0 CHECK (quarantined_records >= 0);
COMMENT ON COLUMN telemetry_boots.quarantined_records IS 'Records that could not be stored as what they are, see quarantine.';
COMMENT ON COLUMN telemetry_boots.refused_records IS 'Records that the gateway refused for good; they lie on the robot beside its spool, with the reason.';

CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    robot text NOT NULL,
    boot text NOT NULL,
    kind text NOT NULL,
    sequence numeric(20),
    reason text NOT NULL,
    record bytea NOT NULL CHECK (length(record) <= 1048576)
);
-- A record that is sent again is there already.
CREATE UNIQUE INDEX quarantine_record ON quarantine (robot, boot, kind, md5(record));
CREATE INDEX quarantine_received_at ON quarantine (received_at);
COMMENT ON TABLE quarantine IS 'Records that could not be stored as what they are, with the reason; a number per robot and some months are kept.';
COMMENT ON COLUMN quarantine.quarantine_id IS 'Counts them.';
COMMENT ON COLUMN quarantine.received_at IS 'When it arrived here.';
COMMENT ON COLUMN quarantine.robot IS 'Robot that sent it.';
COMMENT ON COLUMN quarantine.boot IS 'Start of its agent.';
COMMENT ON COLUMN quarantine.kind IS 'Message of groot.v1 that the bytes are: StartEpisodeRequest, FinishEpisodeRequest, InferenceRecord, ControlSample, Event or Thumbnail.';
COMMENT ON COLUMN quarantine.sequence IS 'Number of the record, as the agent gave it; null where there is none.';
COMMENT ON COLUMN quarantine.reason IS 'Which field, and what is wrong with it.';
COMMENT ON COLUMN quarantine.record IS 'The record itself, protobuf.';

-- Another robot's records that name the episode change nothing in its figures.
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
    WHERE i.episode_id = late.episode_id AND i.robot = late.robot AND i.status = 'OK' AND i.runway_at_arrival_ns >= 0
) AS median
CROSS JOIN LATERAL (
    -- The time since the first of an unbroken row of failed requests right before this one.
    SELECT coalesce(sum(before.latency_ns), 0)::float8 AS took
    FROM inferences AS before
    WHERE before.episode_id = late.episode_id AND before.robot = late.robot AND before.status <> 'OK' AND before.sequence < late.sequence
        AND before.boot = late.boot AND before.sequence > coalesce((
            SELECT max(good.sequence) FROM inferences AS good
            WHERE good.episode_id = late.episode_id AND good.robot = late.robot AND good.boot = late.boot AND good.status = 'OK'
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

CREATE OR REPLACE VIEW checkpoint_comparison AS
WITH counted AS (
    SELECT
        e.task, coalesce(a.checkpoint, e.checkpoint) AS checkpoint,
        coalesce(a.checkpoint_sha256, e.checkpoint_sha256) AS checkpoint_sha256,
        count(*) AS episodes,
        count(*) FILTER (WHERE e.outcome IN ('success', 'refused')) AS successes,
        avg(e.duration_ns) FILTER (WHERE e.outcome IN ('success', 'refused')) AS mean_success_ns,
        100.0 * sum(e.starved_ticks) / nullif(sum(e.ticks), 0) AS starved_percent,
        min(e.started_at) AS first_started_at
    FROM episodes AS e
    -- What answered counts, and only where nobody knows that, what the agent was told at the start.
    CROSS JOIN LATERAL (
        SELECT count(*) AS answered, min(c.checkpoint) AS checkpoint, min(c.checkpoint_sha256) AS checkpoint_sha256
        FROM episode_checkpoints AS c WHERE c.episode_id = e.episode_id AND c.robot = e.robot
    ) AS a
    -- An aborted episode says nothing about the policy, and one that two checkpoints answered about neither.
    WHERE e.outcome IS NOT NULL AND e.outcome <> 'aborted' AND e.task IS NOT NULL AND a.answered <= 1
    GROUP BY 1, 2, 3
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

CREATE OR REPLACE VIEW episode_metrics AS
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
    e.notes,
    coalesce(a.checkpoint_sha256, e.checkpoint_sha256) AS answered_sha256,
    a.checkpoints AS answered_checkpoints,
    e.clock_corrected
FROM episodes AS e
CROSS JOIN LATERAL (
    SELECT
        count(*) AS recorded_chunks,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY i.latency_ns) AS latency_p50_ns,
        percentile_cont(0.99) WITHIN GROUP (ORDER BY i.latency_ns) AS latency_p99_ns
    FROM inferences AS i
    WHERE i.episode_id = e.episode_id AND i.robot = e.robot AND i.status = 'OK'
) AS m
CROSS JOIN LATERAL (
    SELECT
        string_agg(format('%s %s %%', s.worker, round(100.0 * s.n / s.total)), ', ' ORDER BY s.n DESC, s.worker)
            AS worker_share
    FROM (
        SELECT i.worker, count(*) AS n, sum(count(*)) OVER () AS total
        FROM inferences AS i
        WHERE i.episode_id = e.episode_id AND i.robot = e.robot AND i.status = 'OK'
        GROUP BY i.worker
    ) AS s
) AS w
CROSS JOIN LATERAL (
    SELECT
        count(*) AS checkpoints,
        (array_agg(c.checkpoint_sha256 ORDER BY c.chunks DESC, c.checkpoint_sha256))[1] AS checkpoint_sha256
    FROM episode_checkpoints AS c WHERE c.episode_id = e.episode_id AND c.robot = e.robot
) AS a;
COMMENT ON COLUMN episode_metrics.answered_sha256 IS 'Digest of the checkpoint that answered most; what the agent was told while nothing answered.';
COMMENT ON COLUMN episode_metrics.answered_checkpoints IS 'How many different checkpoints answered: more than 1 when one was exchanged in between.';
COMMENT ON COLUMN episode_metrics.clock_corrected IS 'The robot''s clock was absurd: times are those of receipt.';
COMMENT ON VIEW checkpoint_comparison IS 'One row per task and checkpoint that answered: success rate with its 95 % interval, and the difference to the checkpoint with the most episodes.';
COMMENT ON COLUMN checkpoint_comparison.episodes IS 'Judged episodes; aborted ones and those that two checkpoints answered are left out.';

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
        GRANT INSERT ON inferences, control_samples, events, thumbnails, robot_boots TO groot_writer;
        GRANT INSERT, DELETE ON quarantine TO groot_writer;
        GRANT INSERT, UPDATE ON robots, workers, worker_checkpoints, checkpoints, run_configs, run_config_versions,
            run_config_assignments, episodes, telemetry_boots, episode_checkpoints TO groot_writer;
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
                    'robot_boots', 'episode_checkpoints', 'quarantine',
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
