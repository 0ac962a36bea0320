-- Robots, workers, checkpoints, run configurations, episodes and their inferences.

CREATE TABLE robots (
    robot text PRIMARY KEY,
    boot text,
    profile text,
    agent_version text,
    host text,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE robots IS 'One row per robot, with what its agent said at its last start.';
COMMENT ON COLUMN robots.robot IS 'Name given with groot-agent --robot.';
COMMENT ON COLUMN robots.boot IS 'Random id of the agent''s last start; null until the robot registers.';
COMMENT ON COLUMN robots.profile IS 'Robot profile, e.g. 5_wheel.';
COMMENT ON COLUMN robots.agent_version IS 'Version of groot-agent.';
COMMENT ON COLUMN robots.host IS 'Host name of the robot''s computer.';
COMMENT ON COLUMN robots.first_seen_at IS 'First registration or episode.';
COMMENT ON COLUMN robots.last_seen_at IS 'Last registration.';

CREATE TABLE checkpoints (
    sha256 text PRIMARY KEY,
    name text NOT NULL,
    policy_type text,
    runtime text,
    features jsonb CHECK (jsonb_typeof(features) = 'object'),
    chunk_size integer,
    action_period_ns bigint,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE checkpoints IS 'One row per policy checkpoint that a worker served or an episode used.';
COMMENT ON COLUMN checkpoints.sha256 IS 'Digest over the files that decide what the policy answers: same digest, same policy.';
COMMENT ON COLUMN checkpoints.name IS 'Directory name; what requests select.';
COMMENT ON COLUMN checkpoints.policy_type IS 'LeRobot policy type, e.g. groot_mini; null until a worker described it.';
COMMENT ON COLUMN checkpoints.runtime IS 'What runs it, e.g. onnx.';
COMMENT ON COLUMN checkpoints.features IS 'Inputs and output by LeRobot key, with shapes and names.';
COMMENT ON COLUMN checkpoints.chunk_size IS 'Rows of a full action chunk.';
COMMENT ON COLUMN checkpoints.action_period_ns IS 'Time between two rows of a chunk, in nanoseconds.';
COMMENT ON COLUMN checkpoints.first_seen_at IS 'First time a worker described it or an episode named it.';
COMMENT ON COLUMN checkpoints.last_seen_at IS 'Last time a worker described it.';

CREATE TABLE workers (
    worker text PRIMARY KEY,
    address text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE workers IS 'One row per inference worker that the gateway reached.';
COMMENT ON COLUMN workers.worker IS 'Name the worker gives itself.';
COMMENT ON COLUMN workers.address IS 'Where the gateway last reached it.';
COMMENT ON COLUMN workers.first_seen_at IS 'First time the gateway reached it.';
COMMENT ON COLUMN workers.last_seen_at IS 'Last time the gateway (re)connected to it.';

CREATE TABLE worker_checkpoints (
    worker text NOT NULL REFERENCES workers,
    checkpoint_sha256 text NOT NULL REFERENCES checkpoints,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (worker, checkpoint_sha256)
);
COMMENT ON TABLE worker_checkpoints IS 'Which worker served which checkpoint, and when.';
COMMENT ON COLUMN worker_checkpoints.worker IS 'See workers.';
COMMENT ON COLUMN worker_checkpoints.checkpoint_sha256 IS 'See checkpoints.';
COMMENT ON COLUMN worker_checkpoints.first_seen_at IS 'First time the worker said that it serves the checkpoint.';
COMMENT ON COLUMN worker_checkpoints.last_seen_at IS 'Last time the worker said so.';

CREATE TABLE run_configs (
    sha256 text PRIMARY KEY CHECK (sha256 = encode(sha256(convert_to(config::text, 'UTF8')), 'hex')),
    config jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'),
    first_seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE run_configs IS 'Effective run configurations of agents, each kept once and never changed.';
COMMENT ON COLUMN run_configs.sha256 IS 'Digest of the configuration''s canonical text; the check makes a silent change impossible.';
COMMENT ON COLUMN run_configs.config IS 'Every setting with the value that was in force.';
COMMENT ON COLUMN run_configs.first_seen_at IS 'First episode that ran with it.';

-- Start and finish may arrive in either order, so everything but the names may be null.
CREATE TABLE episodes (
    episode_id uuid PRIMARY KEY,
    robot text NOT NULL REFERENCES robots,
    boot text,
    task text,
    checkpoint text,
    checkpoint_sha256 text REFERENCES checkpoints,
    run_config_sha256 text REFERENCES run_configs,
    mode text CHECK (mode IN ('async', 'sync')),
    scene_seed bigint,
    started_at timestamptz,
    finished_at timestamptz,
    outcome text CHECK (
        outcome IN ('success', 'dropped', 'wrong_box', 'timeout', 'refused', 'aborted', 'failure')
    ),
    reason text,
    decided_by text CHECK (decided_by IN ('simulator', 'operator', 'agent')),
    duration_ns bigint CHECK (duration_ns >= 0),
    ticks bigint CHECK (ticks >= 0),
    starved_ticks bigint CHECK (starved_ticks >= 0),
    missed_cycles bigint CHECK (missed_cycles >= 0),
    limited_ticks bigint CHECK (limited_ticks >= 0),
    chunks bigint CHECK (chunks >= 0),
    failed_inferences bigint CHECK (failed_inferences >= 0),
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX episodes_started_at ON episodes (started_at);
CREATE INDEX episodes_robot_started_at ON episodes (robot, started_at);
CREATE INDEX episodes_checkpoint ON episodes (checkpoint_sha256);
CREATE INDEX episodes_run_config ON episodes (run_config_sha256);
COMMENT ON TABLE episodes IS 'One row per episode: what was asked, how it ended and how the control loop did. See episode_metrics.';
COMMENT ON COLUMN episodes.episode_id IS 'Chosen by the agent.';
COMMENT ON COLUMN episodes.robot IS 'See robots.';
COMMENT ON COLUMN episodes.boot IS 'Start of the agent that ran the episode.';
COMMENT ON COLUMN episodes.task IS 'The sentence given to the policy.';
COMMENT ON COLUMN episodes.checkpoint IS 'Name of the checkpoint.';
COMMENT ON COLUMN episodes.checkpoint_sha256 IS 'See checkpoints; null when the agent did not know it.';
COMMENT ON COLUMN episodes.run_config_sha256 IS 'See run_configs.';
COMMENT ON COLUMN episodes.mode IS 'async (infers while moving) or sync (stops to infer).';
COMMENT ON COLUMN episodes.scene_seed IS 'Seed of the simulated scene; null on a real robot.';
COMMENT ON COLUMN episodes.started_at IS 'The agent''s wall clock; for people, not for durations.';
COMMENT ON COLUMN episodes.finished_at IS 'The agent''s wall clock; null while running.';
COMMENT ON COLUMN episodes.outcome IS 'success, dropped, wrong_box, timeout, refused (rightly stayed home), aborted or failure; null while running.';
COMMENT ON COLUMN episodes.reason IS 'Why, in words.';
COMMENT ON COLUMN episodes.decided_by IS 'Who judged: simulator, operator or agent.';
COMMENT ON COLUMN episodes.duration_ns IS 'Measured on the agent''s monotonic clock, in nanoseconds.';
COMMENT ON COLUMN episodes.ticks IS 'Control ticks of the episode (100 per second).';
COMMENT ON COLUMN episodes.starved_ticks IS 'Ticks without an action to execute.';
COMMENT ON COLUMN episodes.missed_cycles IS 'Ticks that the control thread skipped because it was late.';
COMMENT ON COLUMN episodes.limited_ticks IS 'Ticks whose action the safety gate changed.';
COMMENT ON COLUMN episodes.chunks IS 'Action chunks merged into the queue.';
COMMENT ON COLUMN episodes.failed_inferences IS 'Inference requests that brought no usable chunk.';
COMMENT ON COLUMN episodes.recorded_at IS 'When this database first heard of the episode.';

-- No foreign key to episodes or robots: telemetry is spooled and may overtake the start of its episode. It is never
-- refused for that; episode_metrics joins by episode_id when both are there.
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
