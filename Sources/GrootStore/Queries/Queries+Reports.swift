extension Queries {
    /// robot pattern, task pattern, checkpoint pattern, outcome (null: any), since, how many.
    package static let listEpisodes = report(
        "list_episodes",
        parameters: [.text, .text, .text, .text, .interval, .bigint],
        columns: [
            PostgresColumn("started_at", .timestamptz), PostgresColumn("robot", .text), PostgresColumn("task", .text),
            PostgresColumn("outcome", .text), PostgresColumn("duration_s", .numeric), PostgresColumn("chunks", .bigint),
            PostgresColumn("starved_percent", .numeric), PostgresColumn("latency_p50_ms", .numeric),
            PostgresColumn("latency_p99_ms", .numeric), PostgresColumn("checkpoint", .text),
            PostgresColumn("run_config", .text), PostgresColumn("episode_id", .uuid),
        ],
        sql: """
            SELECT
                started_at, robot, task, outcome, duration_s, chunks, starved_percent, latency_p50_ms, latency_p99_ms,
                checkpoint, run_config_name || '@' || run_config_version AS run_config, episode_id
            FROM episode_metrics
            WHERE matches_pattern(robot, $1) AND matches_pattern(coalesce(task, ''), $2)
                AND matches_pattern(coalesce(checkpoint, ''), $3) AND ($4::text IS NULL OR outcome = $4)
                AND coalesce(started_at, finished_at) > now() - $5::interval
            ORDER BY coalesce(started_at, finished_at) DESC
            LIMIT $6
            """
    )

    /// episode, or the beginning of its id.
    package static let showEpisode = report(
        "show_episode",
        parameters: [.text],
        columns: [
            PostgresColumn("episode_id", .uuid), PostgresColumn("robot", .text), PostgresColumn("task", .text),
            PostgresColumn("outcome", .text), PostgresColumn("reason", .text), PostgresColumn("decided_by", .text),
            PostgresColumn("notes", .text), PostgresColumn("started_at", .timestamptz),
            PostgresColumn("finished_at", .timestamptz), PostgresColumn("duration_s", .numeric),
            PostgresColumn("mode", .text), PostgresColumn("scene_seed", .bigint), PostgresColumn("checkpoint", .text),
            PostgresColumn("checkpoint_sha256", .text), PostgresColumn("run_config_name", .text),
            PostgresColumn("run_config_version", .integer), PostgresColumn("config", .jsonb),
            PostgresColumn("chunks", .bigint), PostgresColumn("recorded_chunks", .bigint),
            PostgresColumn("failed_inferences", .bigint), PostgresColumn("ticks", .bigint),
            PostgresColumn("starved_ticks", .bigint), PostgresColumn("missed_cycles", .bigint),
            PostgresColumn("limited_ticks", .bigint), PostgresColumn("latency_p50_ms", .numeric),
            PostgresColumn("latency_p99_ms", .numeric), PostgresColumn("worker_share", .text),
        ],
        sql: """
            SELECT
                m.episode_id, m.robot, m.task, m.outcome, m.reason, m.decided_by, m.notes, m.started_at, m.finished_at,
                m.duration_s, m.mode, m.scene_seed, m.checkpoint, m.checkpoint_sha256, m.run_config_name,
                m.run_config_version, c.config, m.chunks, m.recorded_chunks, m.failed_inferences, m.ticks,
                m.starved_ticks, m.missed_cycles, m.limited_ticks, m.latency_p50_ms, m.latency_p99_ms, m.worker_share
            FROM episode_metrics AS m LEFT JOIN run_configs AS c ON c.sha256 = m.run_config_sha256
            WHERE starts_with(m.episode_id::text, lower($1::text))
            ORDER BY m.started_at DESC
            LIMIT 2
            """
    )

    /// episode.
    package static let episodeEvents = report(
        "episode_events",
        parameters: [.uuid],
        columns: [
            PostgresColumn("happened_at", .timestamptz), PostgresColumn("kind", .text), PostgresColumn("name", .text),
            PostgresColumn("message", .text),
        ],
        sql: """
            SELECT v.happened_at, v.kind, v.name, v.message
            FROM events AS v JOIN episodes AS e ON e.episode_id = v.episode_id AND e.robot = v.robot
            WHERE v.episode_id = $1 ORDER BY v.happened_at, v.sequence
            """
    )

    /// episode.
    package static let episodeStarvation = report(
        "episode_starvation",
        parameters: [.uuid],
        columns: [
            PostgresColumn("captured_at", .timestamptz), PostgresColumn("starved_ms", .numeric),
            PostgresColumn("cause", .text), PostgresColumn("cause_ms", .numeric), PostgresColumn("usual_ms", .numeric),
            PostgresColumn("worker", .text), PostgresColumn("request_id", .text),
        ],
        sql: """
            SELECT captured_at, starved_ms, cause, cause_ms, usual_ms, worker, request_id
            FROM starvation_causes
            WHERE episode_id = $1 AND robot = (SELECT robot FROM episodes WHERE episode_id = $1)
            ORDER BY captured_at
            """
    )

    package static let listCheckpoints = report(
        "list_checkpoints",
        columns: [
            PostgresColumn("name", .text), PostgresColumn("sha256", .text), PostgresColumn("policy_type", .text),
            PostgresColumn("runtime", .text), PostgresColumn("chunk_size", .integer),
            PostgresColumn("workers", .text), PostgresColumn("episodes", .bigint), PostgresColumn("parent", .text),
            PostgresColumn("last_seen_at", .timestamptz), PostgresColumn("notes", .text),
        ],
        sql: """
            SELECT
                c.name, c.sha256, c.policy_type, c.runtime, c.chunk_size,
                (SELECT string_agg(w.worker, ', ' ORDER BY w.worker) FROM worker_checkpoints AS w
                    WHERE w.checkpoint_sha256 = c.sha256) AS workers,
                (SELECT count(*) FROM episodes AS e WHERE e.checkpoint_sha256 = c.sha256) AS episodes,
                p.name || ' ' || left(p.sha256, 12) AS parent, c.last_seen_at, c.notes
            FROM checkpoints AS c LEFT JOIN checkpoints AS p ON p.sha256 = c.parent_sha256
            ORDER BY c.last_seen_at DESC, c.sha256
            """
    )

    /// name, or the beginning of the digest.
    package static let showCheckpoint = report(
        "show_checkpoint",
        parameters: [.text],
        columns: [
            PostgresColumn("sha256", .text), PostgresColumn("name", .text), PostgresColumn("policy_type", .text),
            PostgresColumn("runtime", .text), PostgresColumn("chunk_size", .integer),
            PostgresColumn("action_period_ms", .numeric), PostgresColumn("path", .text),
            PostgresColumn("parent_sha256", .text), PostgresColumn("notes", .text), PostgresColumn("features", .jsonb),
            PostgresColumn("statistics", .jsonb), PostgresColumn("first_seen_at", .timestamptz),
            PostgresColumn("last_seen_at", .timestamptz),
        ],
        sql: """
            SELECT
                sha256, name, policy_type, runtime, chunk_size, round(action_period_ns / 1e6, 3) AS action_period_ms,
                path, parent_sha256, notes, features, statistics, first_seen_at, last_seen_at
            FROM checkpoints WHERE name = $1::text OR starts_with(sha256, lower($1))
            ORDER BY last_seen_at DESC
            """
    )

    /// task pattern.
    package static let compareCheckpoints = report(
        "compare_checkpoints",
        parameters: [.text],
        columns: [
            PostgresColumn("task", .text), PostgresColumn("checkpoint", .text), PostgresColumn("episodes", .bigint),
            PostgresColumn("successes", .bigint), PostgresColumn("success_percent", .numeric),
            PostgresColumn("low_percent", .numeric), PostgresColumn("high_percent", .numeric),
            PostgresColumn("reference", .text), PostgresColumn("difference_points", .numeric),
            PostgresColumn("more_than_chance", .bool), PostgresColumn("mean_success_s", .numeric),
            PostgresColumn("checkpoint_sha256", .text),
        ],
        sql: """
            SELECT
                task, checkpoint, episodes, successes, success_percent, low_percent, high_percent, reference,
                difference_points, more_than_chance, mean_success_s, checkpoint_sha256
            FROM checkpoint_comparison WHERE matches_pattern(task, $1)
            ORDER BY task, episodes DESC, checkpoint_sha256
            """
    )

    /// Every name that a worker or an episode ever gave a checkpoint.
    static let checkpointNames = Query(
        "checkpoint_names",
        columns: [PostgresColumn("name", .text)],
        sql: "SELECT DISTINCT name FROM checkpoints ORDER BY name"
    ) { (row) throws(StoreError) in try row.text(0) }

    /// sha256, then what is changed unless null: path, statistics, parent's sha256, notes.
    static let describeCheckpoint = Query(
        "describe_checkpoint",
        parameters: [.text, .text, .jsonb, .text, .text],
        columns: [PostgresColumn("sha256", .text)],
        sql: """
            UPDATE checkpoints SET
                path = coalesce($2, path), statistics = coalesce($3, statistics),
                parent_sha256 = coalesce($4, parent_sha256), notes = coalesce($5, notes)
            WHERE sha256 = $1
            RETURNING sha256
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    package static let listRunConfigs = report(
        "list_run_configs",
        columns: [
            PostgresColumn("name", .text), PostgresColumn("version", .integer), PostgresColumn("checkpoint", .text),
            PostgresColumn("config", .jsonb), PostgresColumn("episodes", .bigint),
            PostgresColumn("created_at", .timestamptz), PostgresColumn("created_by", .text),
            PostgresColumn("used_at", .timestamptz), PostgresColumn("notes", .text),
        ],
        sql: """
            SELECT
                v.name, v.version, v.checkpoint, v.config,
                (SELECT count(*) FROM episodes AS e
                    WHERE e.run_config_name = v.name AND e.run_config_version = v.version) AS episodes,
                v.created_at, v.created_by, v.used_at, v.notes
            FROM run_config_versions AS v ORDER BY v.name, v.version DESC
            """
    )

    /// whether to include what is not in force any more.
    package static let listAssignments = report(
        "list_assignments",
        parameters: [.bool],
        columns: [
            PostgresColumn("robots", .text), PostgresColumn("tasks", .text), PostgresColumn("run_config", .text),
            PostgresColumn("canary", .text), PostgresColumn("share_percent", .numeric),
            PostgresColumn("assigned_at", .timestamptz), PostgresColumn("assigned_by", .text),
            PostgresColumn("ended_at", .timestamptz),
        ],
        sql: """
            SELECT
                robot_pattern AS robots, task_pattern AS tasks, name || '@' || version AS run_config,
                canary_name || '@' || canary_version AS canary,
                round((100 * canary_share)::numeric, 1) AS share_percent, assigned_at, assigned_by, ended_at
            FROM run_config_assignments WHERE $1::bool OR ended_at IS NULL
            ORDER BY ended_at DESC NULLS FIRST, assignment_id DESC
            """
    )

    package static let listMigrations = report(
        "list_migrations",
        columns: [
            PostgresColumn("version", .integer), PostgresColumn("name", .text),
            PostgresColumn("applied_at", .timestamptz),
        ],
        sql: "SELECT version, name, applied_at FROM groot_migrations ORDER BY version"
    )

    package static let listRetention = report(
        "list_retention",
        columns: [
            PostgresColumn("table_name", .text), PostgresColumn("keep_days", .bigint),
            PostgresColumn("partitions", .bigint), PostgresColumn("bytes", .bigint),
        ],
        sql: """
            SELECT
                r.table_name, (extract(epoch FROM r.keep) / 86400)::bigint AS keep_days,
                count(i.inhrelid) AS partitions, coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint AS bytes
            FROM retention AS r LEFT JOIN pg_inherits AS i ON i.inhparent = to_regclass(r.table_name)
            GROUP BY r.table_name, r.keep ORDER BY r.table_name
            """
    )

    /// table, days.
    static let setRetention = Query(
        "set_retention",
        parameters: [.text, .integer],
        sql: "UPDATE retention SET keep = make_interval(days => $2) WHERE table_name = $1"
    )

    private static func report(
        _ name: String,
        parameters: [PostgresType] = [],
        columns: [PostgresColumn],
        sql: String
    ) -> Query<PostgresRow> {
        Query(name, parameters: parameters, columns: columns, sql: sql) { $0 }
    }
}
