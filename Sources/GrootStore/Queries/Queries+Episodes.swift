extension Queries {
    /// Keeps a run configuration once and answers its digest: over the canonical text that jsonb gives, so key order
    /// and white space do not matter.
    static let saveRunConfig = Query(
        "save_run_config",
        parameters: [.jsonb],
        columns: [PostgresColumn("sha256", .text)],
        sql: """
            WITH given AS (
                SELECT $1::jsonb AS config, encode(sha256(convert_to(($1::jsonb)::text, 'UTF8')), 'hex') AS sha256
            ), saved AS (
                INSERT INTO run_configs (sha256, config) SELECT sha256, config FROM given
                ON CONFLICT (sha256) DO NOTHING
            )
            SELECT sha256 FROM given
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// episode, robot, boot, task, checkpoint, checkpoint sha256, run config sha256, mode, scene seed, started at (ns),
    /// name and version of the assigned run config, whether the clock was corrected.
    ///
    /// The finish may have arrived first, hence the upsert. The first start wins. No row comes back when the episode
    /// belongs to another robot.
    static let startEpisode = Query(
        "start_episode",
        parameters: [
            .uuid, .text, .text, .text, .text, .text, .text, .text, .bigint, .bigint, .text, .integer, .bool,
        ],
        columns: [PostgresColumn("episode_id", .uuid)],
        sql: """
            INSERT INTO episodes AS e (
                episode_id, robot, boot, task, checkpoint, checkpoint_sha256, run_config_sha256, mode, scene_seed,
                started_at, run_config_name, run_config_version, clock_corrected
            )
            VALUES (
                $1, $2, $3, $4, $5, $6, $7, $8, $9,
                timestamptz 'epoch' + ($10::bigint / 1000) * interval '1 microsecond', $11, $12, $13
            )
            ON CONFLICT (episode_id) DO UPDATE SET
                boot = coalesce(e.boot, excluded.boot),
                task = coalesce(e.task, excluded.task),
                checkpoint = coalesce(e.checkpoint, excluded.checkpoint),
                checkpoint_sha256 = coalesce(e.checkpoint_sha256, excluded.checkpoint_sha256),
                run_config_sha256 = coalesce(e.run_config_sha256, excluded.run_config_sha256),
                mode = coalesce(e.mode, excluded.mode),
                scene_seed = coalesce(e.scene_seed, excluded.scene_seed),
                started_at = coalesce(e.started_at, excluded.started_at),
                run_config_name = coalesce(e.run_config_name, excluded.run_config_name),
                run_config_version = coalesce(e.run_config_version, excluded.run_config_version),
                clock_corrected = e.clock_corrected OR excluded.clock_corrected
            WHERE e.robot = excluded.robot
            RETURNING episode_id
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// episode, robot, outcome, reason, decided by, finished at (ns), duration (ns), ticks, starved ticks, missed
    /// cycles, limited ticks, chunks, failed inferences, notes, whether the clock was corrected.
    ///
    /// The first finish wins.
    static let finishEpisode = Query(
        "finish_episode",
        parameters: [
            .uuid, .text, .text, .text, .text, .bigint, .bigint, .bigint, .bigint, .bigint, .bigint, .bigint, .bigint,
            .text, .bool,
        ],
        columns: [PostgresColumn("episode_id", .uuid)],
        sql: """
            INSERT INTO episodes AS e (
                episode_id, robot, outcome, reason, decided_by, finished_at, duration_ns, ticks, starved_ticks,
                missed_cycles, limited_ticks, chunks, failed_inferences, notes, clock_corrected
            )
            VALUES (
                $1, $2, $3, $4, $5, timestamptz 'epoch' + ($6::bigint / 1000) * interval '1 microsecond',
                $7, $8, $9, $10, $11, $12, $13, $14, $15
            )
            ON CONFLICT (episode_id) DO UPDATE SET
                outcome = coalesce(e.outcome, excluded.outcome),
                reason = coalesce(e.reason, excluded.reason),
                decided_by = coalesce(e.decided_by, excluded.decided_by),
                finished_at = coalesce(e.finished_at, excluded.finished_at),
                duration_ns = coalesce(e.duration_ns, excluded.duration_ns),
                ticks = coalesce(e.ticks, excluded.ticks),
                starved_ticks = coalesce(e.starved_ticks, excluded.starved_ticks),
                missed_cycles = coalesce(e.missed_cycles, excluded.missed_cycles),
                limited_ticks = coalesce(e.limited_ticks, excluded.limited_ticks),
                chunks = coalesce(e.chunks, excluded.chunks),
                failed_inferences = coalesce(e.failed_inferences, excluded.failed_inferences),
                notes = coalesce(e.notes, excluded.notes),
                clock_corrected = e.clock_corrected OR excluded.clock_corrected
            WHERE e.robot = excluded.robot
            RETURNING episode_id
            """
    ) { (row) throws(StoreError) in try row.text(0) }
}
