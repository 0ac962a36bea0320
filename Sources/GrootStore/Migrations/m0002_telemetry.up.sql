-- Telemetry in partitions by day of arrival, with retention, and the ledger that makes repeated reports harmless.

-- Which records of one start of an agent are here. A report locks its row, leaves out the sequences that `committed`
-- holds already, copies the rest and adds them, all in one transaction: exactly once without a unique index over
-- tables that grow for ever, and across partitions, which no unique index could span.
CREATE TABLE telemetry_boots (
    robot text NOT NULL,
    boot text NOT NULL,
    committed int8multirange NOT NULL DEFAULT '{}',
    dropped_inferences bigint NOT NULL DEFAULT 0 CHECK (dropped_inferences >= 0),
    dropped_control_samples bigint NOT NULL DEFAULT 0 CHECK (dropped_control_samples >= 0),
    dropped_events bigint NOT NULL DEFAULT 0 CHECK (dropped_events >= 0),
    dropped_episodes bigint NOT NULL DEFAULT 0 CHECK (dropped_episodes >= 0),
    damaged_records bigint NOT NULL DEFAULT 0 CHECK (damaged_records >= 0),
    refused_records bigint NOT NULL DEFAULT 0 CHECK (refused_records >= 0),
    first_received_at timestamptz NOT NULL DEFAULT now(),
    last_received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (robot, boot)
);
COMMENT ON TABLE telemetry_boots IS 'One row per start of an agent: which of its records are here and how many it had to give up.';
COMMENT ON COLUMN telemetry_boots.robot IS 'See robots.';
COMMENT ON COLUMN telemetry_boots.boot IS 'Random id of the start.';
COMMENT ON COLUMN telemetry_boots.committed IS 'Sequences that are committed; a gap is a record that was given up or is still on the robot.';
COMMENT ON COLUMN telemetry_boots.dropped_inferences IS 'Inference records that this start of the agent gave up because its disk or spool was full; they may be of an earlier start.';
COMMENT ON COLUMN telemetry_boots.dropped_control_samples IS 'Control samples given up likewise.';
COMMENT ON COLUMN telemetry_boots.dropped_events IS 'Events given up likewise.';
COMMENT ON COLUMN telemetry_boots.dropped_episodes IS 'Starts and finishes of episodes given up, last of all.';
COMMENT ON COLUMN telemetry_boots.damaged_records IS 'Records whose checksum was wrong when the agent read them back.';
COMMENT ON COLUMN telemetry_boots.refused_records IS 'Records that the gateway refused for good; the agent''s log says why.';
COMMENT ON COLUMN telemetry_boots.first_received_at IS 'First report.';
COMMENT ON COLUMN telemetry_boots.last_received_at IS 'Last report.';

INSERT INTO telemetry_boots (robot, boot, committed)
SELECT robot, boot, range_agg(int8range(sequence, sequence, '[]')) FROM inferences GROUP BY robot, boot;

DROP VIEW episode_metrics;
ALTER TABLE inferences RENAME TO inferences_unpartitioned;
ALTER TABLE inferences_unpartitioned RENAME CONSTRAINT inferences_pkey TO inferences_unpartitioned_pkey;
DROP INDEX inferences_episode, inferences_captured_at, inferences_request;

-- Partitioned by arrival and not by capture: a robot whose clock is wrong, or that catches up after a week, must not
-- write into a partition that is due to go.
CREATE TABLE inferences (
    recorded_at timestamptz NOT NULL DEFAULT now(),
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
    prefix_rows integer NOT NULL DEFAULT 0,
    frozen_rows integer NOT NULL DEFAULT 0,
    hedged boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (recorded_at);
CREATE TABLE inferences_default PARTITION OF inferences DEFAULT;
CREATE INDEX inferences_episode ON inferences (episode_id);
CREATE INDEX inferences_captured_at ON inferences USING brin (captured_at) WITH (pages_per_range = 32);
CREATE INDEX inferences_request ON inferences USING hash (request_id);
CREATE INDEX inferences_starved ON inferences (captured_at) WHERE status = 'OK' AND runway_at_arrival_ns < 0;
CREATE INDEX inferences_failed ON inferences (captured_at) WHERE status <> 'OK';
COMMENT ON TABLE inferences IS 'One row per inference request of an agent; telemetry_boots makes repeated reports harmless.';
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
COMMENT ON COLUMN inferences.recorded_at IS 'When it arrived here, on the database''s clock; decides the partition.';
COMMENT ON COLUMN inferences.prefix_rows IS 'Rows of the previous chunk that the request carried (real-time chunking).';
COMMENT ON COLUMN inferences.frozen_rows IS 'Those of them that the answer had to repeat unchanged.';
COMMENT ON COLUMN inferences.hedged IS 'The request was sent twice because the robot was about to run dry.';

CREATE TABLE control_samples (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    robot text NOT NULL,
    boot text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    episode_id uuid,
    sampled_at timestamptz NOT NULL,
    ticks bigint NOT NULL,
    starved_ticks bigint NOT NULL,
    missed_cycles bigint NOT NULL,
    limited_ticks bigint NOT NULL,
    runway_ns bigint NOT NULL,
    min_runway_ns bigint NOT NULL,
    jitter_p50_ns bigint NOT NULL,
    jitter_p99_ns bigint NOT NULL,
    jitter_max_ns bigint NOT NULL
) PARTITION BY RANGE (recorded_at);
CREATE TABLE control_samples_default PARTITION OF control_samples DEFAULT;
CREATE INDEX control_samples_episode ON control_samples (episode_id);
CREATE INDEX control_samples_sampled_at ON control_samples USING brin (sampled_at) WITH (pages_per_range = 32);
COMMENT ON TABLE control_samples IS 'What the 100 Hz loop of a robot did, one row per second.';
COMMENT ON COLUMN control_samples.recorded_at IS 'When it arrived here, on the database''s clock; decides the partition.';
COMMENT ON COLUMN control_samples.robot IS 'Robot.';
COMMENT ON COLUMN control_samples.boot IS 'Start of its agent.';
COMMENT ON COLUMN control_samples.sequence IS 'Counts the records of one boot.';
COMMENT ON COLUMN control_samples.episode_id IS 'Episode it belongs to; null between episodes.';
COMMENT ON COLUMN control_samples.sampled_at IS 'The agent''s wall clock at the end of the second.';
COMMENT ON COLUMN control_samples.ticks IS 'Control ticks in this second.';
COMMENT ON COLUMN control_samples.starved_ticks IS 'Those without an action to execute.';
COMMENT ON COLUMN control_samples.missed_cycles IS 'Ticks skipped because the thread was late.';
COMMENT ON COLUMN control_samples.limited_ticks IS 'Ticks whose action the safety gate changed.';
COMMENT ON COLUMN control_samples.runway_ns IS 'Unexecuted motion time at the end of the second.';
COMMENT ON COLUMN control_samples.min_runway_ns IS 'Its minimum within the second.';
COMMENT ON COLUMN control_samples.jitter_p50_ns IS 'Median distance of a tick from its deadline.';
COMMENT ON COLUMN control_samples.jitter_p99_ns IS '99th percentile of the same.';
COMMENT ON COLUMN control_samples.jitter_max_ns IS 'Largest of the same.';

CREATE TABLE events (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    robot text NOT NULL,
    boot text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    episode_id uuid,
    happened_at timestamptz NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    message text NOT NULL
) PARTITION BY RANGE (recorded_at);
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE INDEX events_episode ON events (episode_id);
CREATE INDEX events_robot_happened_at ON events (robot, happened_at);
CREATE INDEX events_happened_at ON events (happened_at);
COMMENT ON TABLE events IS 'What a person wants to read later: safety, operator, link, telemetry.';
COMMENT ON COLUMN events.recorded_at IS 'When it arrived here, on the database''s clock; decides the partition.';
COMMENT ON COLUMN events.robot IS 'Robot.';
COMMENT ON COLUMN events.boot IS 'Start of its agent.';
COMMENT ON COLUMN events.sequence IS 'Counts the records of one boot.';
COMMENT ON COLUMN events.episode_id IS 'Episode it belongs to; null between episodes.';
COMMENT ON COLUMN events.happened_at IS 'The agent''s wall clock.';
COMMENT ON COLUMN events.kind IS 'safety, operator, link or telemetry.';
COMMENT ON COLUMN events.name IS 'Short, from a closed set, e.g. velocity_limited.';
COMMENT ON COLUMN events.message IS 'For people.';

CREATE TABLE retention (
    table_name text PRIMARY KEY CHECK (table_name IN ('inferences', 'control_samples', 'events')),
    keep interval NOT NULL CHECK (keep >= interval '1 day')
);
COMMENT ON TABLE retention IS 'How long telemetry is kept after its arrival; groot-gateway migrate --keep changes it. Episodes are kept for ever.';
COMMENT ON COLUMN retention.table_name IS 'Partitioned table.';
COMMENT ON COLUMN retention.keep IS 'Partitions that ended longer ago are dropped.';
INSERT INTO retention VALUES ('inferences', '90 days'), ('control_samples', '30 days'), ('events', '400 days');

-- Called by every gateway at its start and once an hour. Runs with its owner's rights, so that the writer role needs none
-- to create or drop tables. Gateways take turns; whoever finds another at work leaves it to that one.
CREATE FUNCTION maintain_partitions(days_ahead integer DEFAULT 3, at timestamptz DEFAULT now())
RETURNS TABLE (partition text, change text)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    policy retention;
    day date;
    cutoff timestamptz;
    child record;
    span tstzrange;
    moved bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('groot.partitions.' || current_schema(), 0)) THEN
        RETURN;
    END IF;
    -- Dropping waits for readers of the table; better later than in everyone's way.
    PERFORM set_config('lock_timeout', '3s', true);
    FOR policy IN SELECT * FROM retention ORDER BY table_name LOOP
        FOR day IN
            SELECT (at AT TIME ZONE 'UTC')::date + offsets.n FROM generate_series(0, days_ahead) AS offsets (n)
        LOOP
            partition := format('%s_%s', policy.table_name, to_char(day, 'YYYYMMDD'));
            CONTINUE WHEN to_regclass(quote_ident(partition)) IS NOT NULL;
            span := tstzrange(day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, policy.table_name);
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', policy.table_name || '_default');
            -- Rows that arrived while there was no partition for their day.
            EXECUTE format(
                'WITH stray AS (DELETE FROM %I WHERE recorded_at <@ $1 RETURNING *) INSERT INTO %I SELECT * FROM stray',
                policy.table_name || '_default', partition
            ) USING span;
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                policy.table_name, partition, lower(span), upper(span)
            );
            change := 'created';
            RETURN NEXT;
        END LOOP;
        cutoff := at - policy.keep;
        FOR child IN
            SELECT c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') AS first_day
            FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(quote_ident(policy.table_name))
                AND c.relname ~ ('^' || policy.table_name || '_[0-9]{8}$')
            ORDER BY c.relname
        LOOP
            CONTINUE WHEN (child.first_day + 1)::timestamp AT TIME ZONE 'UTC' > cutoff;
            EXECUTE format('DROP TABLE %I', child.relname);
            partition := child.relname;
            change := 'dropped';
            RETURN NEXT;
        END LOOP;
        EXECUTE format('DELETE FROM %I WHERE recorded_at < $1', policy.table_name || '_default') USING cutoff;
        GET DIAGNOSTICS moved = ROW_COUNT;
        IF moved > 0 THEN
            partition := policy.table_name || '_default';
            change := format('%s rows deleted', moved);
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION maintain_partitions IS 'Creates partitions for today and the days ahead, drops those older than retention allows.';
-- A function with its owner's rights must not find other people's tables first.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION maintain_partitions(integer, timestamptz) SET search_path = %I, pg_temp', current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION maintain_partitions FROM public;

SELECT * FROM maintain_partitions();

-- What was here counts as having arrived now: retention starts with the policy.
INSERT INTO inferences (
    recorded_at, robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint, captured_at,
    latency_ns, runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns, encode_ns,
    round_trip_ns, worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns, worker_postprocess_ns,
    worker_encode_ns, batch_size, status, message, request_bytes
)
SELECT
    now(), robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint, captured_at,
    latency_ns, runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns, encode_ns,
    round_trip_ns, worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns, worker_postprocess_ns,
    worker_encode_ns, batch_size, status, message, request_bytes
FROM inferences_unpartitioned;
DROP TABLE inferences_unpartitioned;

-- As before, over the new table.
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
