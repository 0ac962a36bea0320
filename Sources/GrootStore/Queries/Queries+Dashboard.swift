/// What the dashboard shows. Each answers one JSON text that goes to the browser as it is: the shape is made where the
/// data is, and nothing in between has to know it.
///
/// `recorded_at` picks the partitions, `captured_at` is what the robot's clock says.
extension Queries {
    /// Every robot with its last episode and the last two minutes of its requests.
    static let dashboardRobots = Query(
        "dashboard_robots",
        columns: [PostgresColumn("json", .text)],
        sql: """
            WITH recent AS (
                SELECT
                    i.robot, count(*) AS requests, count(*) FILTER (WHERE i.status <> 'OK') AS failed,
                    count(*) FILTER (WHERE i.status = 'OK' AND i.runway_at_arrival_ns < 0) AS late,
                    max(i.captured_at) AS last_at,
                    (array_agg(i.runway_at_arrival_ns / 1e9 ORDER BY i.captured_at DESC)
                        FILTER (WHERE i.status = 'OK'))[1] AS runway_s,
                    (array_agg(i.worker ORDER BY i.captured_at DESC) FILTER (WHERE i.status = 'OK'))[1] AS worker,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY i.latency_ns) FILTER (WHERE i.status = 'OK') / 1e6
                        AS latency_p50_ms,
                    percentile_cont(0.99) WITHIN GROUP (ORDER BY i.latency_ns) FILTER (WHERE i.status = 'OK') / 1e6
                        AS latency_p99_ms
                FROM inferences AS i
                WHERE i.recorded_at > now() - interval '3 minutes' AND i.captured_at > now() - interval '2 minutes'
                GROUP BY i.robot
            )
            SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.robot), '[]')::text AS json
            FROM (
                SELECT
                    robots.robot, robots.profile, robots.agent_version, robots.host, e.episode_id, e.task, e.outcome,
                    e.started_at, e.starved_percent, recent.requests, recent.failed, recent.late, recent.last_at,
                    recent.runway_s, recent.worker, recent.latency_p50_ms, recent.latency_p99_ms
                FROM robots
                LEFT JOIN recent USING (robot)
                LEFT JOIN LATERAL (
                    SELECT
                        x.episode_id, x.task, x.started_at, coalesce(x.outcome, 'running') AS outcome,
                        round(100.0 * x.starved_ticks / nullif(x.ticks, 0), 2) AS starved_percent
                    FROM episodes AS x
                    WHERE x.robot = robots.robot
                    ORDER BY x.started_at DESC NULLS LAST LIMIT 1
                ) AS e ON true
            ) AS r
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// The last two minutes of every worker that answered.
    static let dashboardWorkers = Query(
        "dashboard_workers",
        columns: [PostgresColumn("json", .text)],
        sql: """
            SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.worker), '[]')::text AS json
            FROM (
                SELECT
                    i.worker, count(*) AS answers, round(avg(i.batch_size), 1) AS mean_batch,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_infer_ns) / 1e6 AS infer_p50_ms,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY i.worker_queue_ns) / 1e6 AS queue_p50_ms
                FROM inferences AS i
                WHERE i.recorded_at > now() - interval '3 minutes' AND i.captured_at > now() - interval '2 minutes'
                    AND i.status = 'OK'
                GROUP BY i.worker
            ) AS w
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// Observation captured until chunk merged, over the last five minutes in steps of five seconds.
    static let dashboardLatency = Query(
        "dashboard_latency",
        columns: [PostgresColumn("json", .text)],
        sql: """
            SELECT coalesce(jsonb_agg(to_jsonb(b) ORDER BY b.at), '[]')::text AS json
            FROM (
                SELECT
                    date_bin('5 seconds', i.captured_at, timestamptz 'epoch') AS at,
                    count(*) FILTER (WHERE i.status = 'OK') AS chunks,
                    count(*) FILTER (WHERE i.status <> 'OK') AS failed,
                    count(*) FILTER (WHERE i.status = 'OK' AND i.runway_at_arrival_ns < 0) AS late,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY i.latency_ns) FILTER (WHERE i.status = 'OK') / 1e6
                        AS p50_ms,
                    percentile_cont(0.99) WITHIN GROUP (ORDER BY i.latency_ns) FILTER (WHERE i.status = 'OK') / 1e6
                        AS p99_ms
                FROM inferences AS i
                WHERE i.recorded_at > now() - interval '6 minutes' AND i.captured_at > now() - interval '5 minutes'
                    AND i.captured_at <= now() + interval '5 seconds'
                GROUP BY at
            ) AS b
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// robot, outcome, text in the task, checkpoint, newest start (ISO 8601), rows; an empty text filters nothing.
    static let dashboardEpisodes = Query(
        "dashboard_episodes",
        parameters: [.text, .text, .text, .text, .text, .integer],
        columns: [PostgresColumn("json", .text)],
        sql: """
            SELECT jsonb_build_object(
                'episodes', coalesce((
                    SELECT jsonb_agg(to_jsonb(p) ORDER BY p.started_at DESC NULLS LAST, p.episode_id)
                    FROM (
                        SELECT
                            e.episode_id, e.robot, e.task, coalesce(e.outcome, 'running') AS outcome, e.checkpoint,
                            e.mode, e.started_at, round(e.duration_ns / 1e9, 1) AS duration_s, e.chunks,
                            round(100.0 * e.starved_ticks / nullif(e.ticks, 0), 2) AS starved_percent, e.reason
                        FROM episodes AS e
                        WHERE ($1::text = '' OR e.robot = $1)
                            AND ($2::text = '' OR coalesce(e.outcome, 'running') = $2)
                            AND ($3::text = '' OR strpos(lower(e.task), lower($3)) > 0)
                            AND ($4::text = '' OR e.checkpoint = $4)
                            AND ($5::text = '' OR e.started_at < nullif($5, '')::timestamptz)
                        ORDER BY e.started_at DESC NULLS LAST, e.episode_id
                        LIMIT $6::integer
                    ) AS p
                ), '[]'),
                'robots', coalesce((SELECT jsonb_agg(robot ORDER BY robot) FROM robots), '[]'),
                'checkpoints', coalesce((
                    SELECT jsonb_agg(DISTINCT checkpoint ORDER BY checkpoint) FROM episodes WHERE checkpoint <> ''
                ), '[]')
            )::text AS json
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// episode: everything that happened in it, in seconds since its first record.
    static let dashboardEpisode = Query(
        "dashboard_episode",
        parameters: [.uuid],
        columns: [PostgresColumn("json", .text)],
        sql: """
            SELECT jsonb_build_object(
                'episode', to_jsonb(m),
                'chunks', coalesce((
                    SELECT jsonb_agg(jsonb_build_object(
                        'at', i.captured_at, 'worker', i.worker, 'status', i.status, 'message', i.message,
                        'latency_ms', i.latency_ns / 1e6, 'round_trip_ms', i.round_trip_ns / 1e6,
                        'infer_ms', i.worker_infer_ns / 1e6, 'queue_ms', i.worker_queue_ns / 1e6,
                        'runway_at_send_s', i.runway_at_send_ns / 1e9,
                        'runway_at_arrival_s', i.runway_at_arrival_ns / 1e9, 'batch', i.batch_size,
                        'rows', i.chunk_rows, 'stale_rows', i.stale_rows, 'attempts', i.attempts,
                        'request_id', i.request_id
                    ) ORDER BY i.captured_at, i.sequence)
                    FROM inferences AS i WHERE i.episode_id = m.episode_id AND i.robot = m.robot
                ), '[]'),
                'samples', coalesce((
                    SELECT jsonb_agg(jsonb_build_object(
                        'at', s.sampled_at, 'runway_s', s.runway_ns / 1e9, 'min_runway_s', s.min_runway_ns / 1e9,
                        'ticks', s.ticks, 'starved', s.starved_ticks, 'limited', s.limited_ticks,
                        'missed', s.missed_cycles, 'jitter_p99_ms', s.jitter_p99_ns / 1e6
                    ) ORDER BY s.sampled_at, s.sequence)
                    FROM control_samples AS s WHERE s.episode_id = m.episode_id AND s.robot = m.robot
                ), '[]'),
                'events', coalesce((
                    SELECT jsonb_agg(jsonb_build_object(
                        'at', v.happened_at, 'kind', v.kind, 'name', v.name, 'message', v.message
                    ) ORDER BY v.happened_at, v.sequence)
                    FROM events AS v WHERE v.episode_id = m.episode_id AND v.robot = m.robot
                ), '[]')
            )::text AS json
            FROM episode_metrics AS m WHERE m.episode_id = $1
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// episode: its pictures, oldest first.
    static let dashboardThumbnails = Query(
        "dashboard_thumbnails",
        parameters: [.uuid],
        columns: [PostgresColumn("json", .text)],
        sql: """
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'camera', t.camera, 'at', t.captured_at,
                'at_ms', round(1000 * extract(epoch FROM t.captured_at - coalesce(e.started_at, t.first_at)))::bigint,
                'url', format('/api/episodes/%s/thumbnails/%s', t.episode_id, t.sequence)
            ) ORDER BY t.captured_at, t.camera, t.sequence), '[]')::text AS json
            FROM (
                SELECT camera, captured_at, episode_id, robot, sequence, min(captured_at) OVER () AS first_at
                FROM thumbnails WHERE episode_id = $1
            ) AS t LEFT JOIN episodes AS e ON e.episode_id = t.episode_id
            -- Another robot's pictures under this episode's name are not shown.
            WHERE e.robot IS NULL OR e.robot = t.robot
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// episode, sequence: the JPEG file in base64.
    static let dashboardThumbnail = Query(
        "dashboard_thumbnail",
        parameters: [.uuid, .bigint],
        columns: [PostgresColumn("jpeg", .text)],
        sql: """
            SELECT encode(t.jpeg, 'base64') AS jpeg
            FROM thumbnails AS t LEFT JOIN episodes AS e ON e.episode_id = t.episode_id
            WHERE t.episode_id = $1 AND t.sequence = $2 AND (e.robot IS NULL OR e.robot = t.robot) LIMIT 1
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// Success by checkpoint and task with its 95 % interval, as the view of the same name gives it.
    static let dashboardComparison = Query(
        "dashboard_comparison",
        columns: [PostgresColumn("json", .text)],
        sql: """
            SELECT coalesce(
                jsonb_agg(to_jsonb(c) ORDER BY c.task, c.success_percent DESC, c.checkpoint), '[]'
            )::text AS json
            FROM checkpoint_comparison AS c
            """
    ) { (row) throws(StoreError) in try row.text(0) }
}
