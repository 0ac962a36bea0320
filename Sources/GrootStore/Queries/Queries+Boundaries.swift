/// What the boundaries need: the state of the server, quarantine, starts of agents in order, episodes that nobody ended.
extension Queries {
    /// What a connection says about the server; see `StoreProbe`.
    static let probeServer = Query(
        "probe_server",
        columns: [
            PostgresColumn("encoding", .text), PostgresColumn("is_standby", .bool),
            PostgresColumn("is_read_only", .bool),
            PostgresColumn("schema", .text),
        ],
        sql: """
            SELECT
                current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS is_standby,
                current_setting('transaction_read_only')::boolean AS is_read_only,
                coalesce(current_schema()::text, '') AS schema
            """
    ) { (row) throws(StoreError) in
        StoreProbe(
            encoding: try row.text(0),
            isStandby: try row.bool(1),
            isReadOnly: try row.bool(2),
            schema: try row.text(3)
        )
    }

    /// What a gateway must be allowed and is not, in words; empty when nothing is missing.
    static let missingRights = Query(
        "missing_rights",
        columns: [PostgresColumn("missing", .text)],
        sql: """
            WITH needed (name, privilege) AS (VALUES \(StoreProbe.neededRights))
            SELECT coalesce(string_agg(format('%s on %s', privilege, name), ', ' ORDER BY name, privilege), '') AS missing
            FROM needed
            WHERE to_regclass(name) IS NULL OR NOT has_table_privilege(to_regclass(name), privilege)
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// robot, boot, kind, sequence, reason, record in hex, most per robot, most in all: kept, known or full.
    static let quarantineRecord = Query(
        "quarantine_record",
        parameters: [.text, .text, .text, .numeric, .text, .text, .bigint, .bigint],
        columns: [PostgresColumn("outcome", .text)],
        sql: """
            WITH given AS (
                SELECT decode($6::text, 'hex') AS record
            ), known AS (
                SELECT FROM quarantine AS q CROSS JOIN given
                WHERE q.robot = $1 AND q.boot = $2 AND q.kind = $3 AND md5(q.record) = md5(given.record)
            ), room AS (
                SELECT (SELECT count(*) FROM (SELECT FROM quarantine WHERE robot = $1 LIMIT $7) AS mine) < $7
                    AND (SELECT count(*) FROM (SELECT FROM quarantine LIMIT $8) AS everyone) < $8 AS is_free
            ), kept AS (
                INSERT INTO quarantine (robot, boot, kind, sequence, reason, record)
                SELECT $1, $2, $3, $4, $5, given.record FROM given, room
                WHERE room.is_free AND NOT EXISTS (SELECT FROM known)
                ON CONFLICT DO NOTHING
                RETURNING quarantine_id
            )
            SELECT CASE
                WHEN EXISTS (SELECT FROM kept) THEN 'kept'
                WHEN EXISTS (SELECT FROM known) OR room.is_free THEN 'known' ELSE 'full'
            END AS outcome
            FROM room
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// robot, boot, how many more.
    static let countQuarantined = Query(
        "count_quarantined",
        parameters: [.text, .text, .bigint],
        sql: """
            UPDATE telemetry_boots SET quarantined_records = quarantined_records + $3, last_received_at = now()
            WHERE robot = $1 AND boot = $2
            """
    )

    static let pruneQuarantine = Query(
        "prune_quarantine",
        sql: "DELETE FROM quarantine WHERE received_at < now() - interval '400 days'"
    )

    /// robot, boot.
    static let saveRobotBoot = Query(
        "save_robot_boot",
        parameters: [.text, .text],
        sql: "INSERT INTO robot_boots (robot, boot) VALUES ($1, $2) ON CONFLICT (robot, boot) DO NOTHING"
    )

    /// robot, boot: closes what earlier starts of the agent left open.
    ///
    /// A registration that is repeated late closes nothing of starts that came after it.
    static let closeEarlierEpisodes = Query(
        "close_earlier_episodes",
        parameters: [.text, .text],
        columns: [PostgresColumn("episode_id", .uuid)],
        sql: """
            UPDATE episodes AS e SET
                outcome = 'aborted', decided_by = 'gateway', finished_at = now(),
                reason = 'the agent started again before it said how the episode ended'
            WHERE e.robot = $1 AND e.outcome IS NULL AND e.boot <> $2 AND NOT EXISTS (
                SELECT FROM robot_boots AS theirs JOIN robot_boots AS mine ON mine.robot = theirs.robot
                WHERE theirs.robot = $1 AND theirs.boot = e.boot AND mine.boot = $2
                    AND theirs.registered_at > mine.registered_at
            )
            RETURNING e.episode_id
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// seconds: closes episodes of agents of which nothing was heard for so long.
    static let closeSilentEpisodes = Query(
        "close_silent_episodes",
        parameters: [.double],
        columns: [PostgresColumn("episode_id", .uuid)],
        sql: """
            UPDATE episodes AS e SET
                outcome = 'aborted', decided_by = 'gateway', finished_at = now(),
                reason = format('nothing was heard of the agent for %s', make_interval(secs => $1))
            WHERE e.outcome IS NULL AND e.recorded_at < now() - make_interval(secs => $1) AND NOT EXISTS (
                SELECT FROM telemetry_boots AS t
                WHERE t.robot = e.robot AND t.boot = e.boot
                    AND t.last_received_at > now() - make_interval(secs => $1)
            )
            RETURNING e.episode_id
            """
    ) { (row) throws(StoreError) in try row.text(0) }

    /// episode, robot: what a gateway closed and an agent ends after all counts as open.
    static let reopenEpisode = Query(
        "reopen_episode",
        parameters: [.uuid, .text],
        sql: """
            UPDATE episodes SET outcome = NULL, decided_by = NULL, finished_at = NULL, reason = NULL
            WHERE episode_id = $1 AND robot = $2 AND decided_by = 'gateway'
            """
    )

    /// robot, JSON array of episode, sha256, name and chunks: adds what answered.
    static let addEpisodeCheckpoints = Query(
        "add_episode_checkpoints",
        parameters: [.text, .jsonb],
        sql: """
            INSERT INTO episode_checkpoints AS c (episode_id, robot, checkpoint_sha256, checkpoint, chunks)
            SELECT a.episode_id, $1, a.checkpoint_sha256, a.checkpoint, a.chunks
            FROM jsonb_to_recordset($2) AS a (episode_id uuid, checkpoint_sha256 text, checkpoint text, chunks bigint)
            ORDER BY a.episode_id, a.checkpoint_sha256
            ON CONFLICT (episode_id, robot, checkpoint_sha256) DO UPDATE SET chunks = c.chunks + excluded.chunks
            """
    )
}
