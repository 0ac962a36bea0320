-- A day of a small fleet for the dashboard's tests: three robots, two workers, two checkpoints. `now()` is the test's.
INSERT INTO robots (robot, boot, profile, agent_version, host) VALUES
    ('r1', 'b1', '5_wheel', '0.1.0', 'orin-1'), ('r2', 'b2', '5_wheel', '0.1.0', 'orin-2'), ('r3', 'b3', 'simulator', '0.1.0', 'sim');
INSERT INTO checkpoints (sha256, name) VALUES (repeat('a', 64), 'groot-mini'), (repeat('b', 64), 'groot-mini-next');

-- 60 finished episodes: groot-mini succeeds in 24 of 40, groot-mini-next in 19 of 20.
INSERT INTO episodes (
    episode_id, robot, boot, task, checkpoint, checkpoint_sha256, mode, started_at, finished_at, outcome, reason, decided_by,
    duration_ns, ticks, starved_ticks, missed_cycles, limited_ticks, chunks, failed_inferences
)
SELECT
    ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'r' || (n % 2 + 1), 'b' || (n % 2 + 1),
    CASE WHEN n % 3 = 0 THEN 'Depalletize the blue box' ELSE 'Depalletize the green box' END,
    CASE WHEN n <= 40 THEN 'groot-mini' ELSE 'groot-mini-next' END,
    repeat(CASE WHEN n <= 40 THEN 'a' ELSE 'b' END, 64), 'async',
    now() - (70 - n) * interval '3 minutes', now() - (70 - n) * interval '3 minutes' + interval '14 seconds',
    CASE WHEN n <= 40 AND n % 5 IN (1, 3) THEN CASE WHEN n % 10 = 1 THEN 'timeout' ELSE 'dropped' END
        WHEN n = 60 THEN 'dropped' ELSE 'success' END,
    CASE WHEN n <= 40 AND n % 5 IN (1, 3) THEN 'the box fell' ELSE 'the box is on the stand' END, 'simulator',
    (12 + n % 4) * 1000000000::bigint, 1400, CASE WHEN n % 7 = 0 THEN 42 ELSE 0 END, 0, n % 9, 24, n % 2
FROM generate_series(1, 60) AS n;

-- One running episode of r1 whose telemetry arrives now: a chunk every 600 ms, one worker lost after a minute.
INSERT INTO episodes (episode_id, robot, boot, task, checkpoint, checkpoint_sha256, mode, started_at) VALUES
    ('11111111-1111-4111-8111-111111111111', 'r1', 'b1', 'Depalletize the green box', 'groot-mini', repeat('a', 64), 'async',
     now() - interval '4 minutes');
INSERT INTO inferences (
    robot, boot, sequence, episode_id, request_id, observation_index, worker, checkpoint, captured_at, latency_ns,
    runway_at_send_ns, runway_at_arrival_ns, chunk_rows, stale_rows, attempts, skew_ns, encode_ns, round_trip_ns,
    worker_queue_ns, worker_decode_ns, worker_preprocess_ns, worker_infer_ns, worker_postprocess_ns, worker_encode_ns,
    batch_size, status, message, request_bytes
)
SELECT
    robot, 'b' || right(robot, 1), n,
    CASE robot WHEN 'r1' THEN '11111111-1111-4111-8111-111111111111'::uuid END, robot || '-' || n, n,
    CASE WHEN n % 90 = 40 THEN '' WHEN (n / 7) % 2 = 0 AND n < 300 THEN 'w1' ELSE 'w2' END, 'groot-mini',
    now() - (400 - n) * interval '600 milliseconds',
    (62 + 18 * sin(n / 9.0) + CASE WHEN n % 53 = 0 THEN 420 ELSE 0 END)::bigint * 1000000, 780000000,
    (720 - CASE WHEN n % 53 = 0 THEN 900 ELSE (n % 6) * 40 END)::bigint * 1000000, 16, 1, 1, 4000000, 3000000,
    (56 + 18 * sin(n / 9.0))::bigint * 1000000, 4000000, 3000000, 1000000, 41000000, 500000, 200000, 1 + n % 3,
    CASE WHEN n % 90 = 40 THEN 'UNAVAILABLE' ELSE 'OK' END,
    CASE WHEN n % 90 = 40 THEN 'the worker went away' ELSE '' END, 460000
FROM generate_series(1, 400) AS n, (VALUES ('r1'), ('r2')) AS robots (robot)
WHERE robot = 'r1' OR n > 250;

INSERT INTO events (robot, boot, sequence, episode_id, happened_at, kind, name, message) VALUES
    ('r1', 'b1', 1000, '11111111-1111-4111-8111-111111111111', now() - interval '2 minutes', 'link', 'gateway_lost', 'the gateway went away'),
    ('r1', 'b1', 1001, '11111111-1111-4111-8111-111111111111', now() - interval '118 seconds', 'link', 'gateway_back', 'the gateway answers again');

-- Somebody tries to be clever.
UPDATE episodes SET task = '<img src=x onerror=document.title=1><b>bold</b>', reason = '<script>document.title=2</script>'
WHERE episode_id = '00000000-0000-4000-8000-000000000002';
