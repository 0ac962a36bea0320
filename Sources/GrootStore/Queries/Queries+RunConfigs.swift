extension Queries {
    /// name, version: from now on it never changes.
    static let useRunConfig = Query(
        "use_run_config",
        parameters: [.text, .integer],
        sql: "UPDATE run_config_versions SET used_at = now() WHERE name = $1 AND version = $2 AND used_at IS NULL"
    )

    /// robot, task, episode (may be null).
    ///
    /// An episode that has started keeps what it started with. Else the most literal scope decides, and in it the
    /// episode's id: a canary of share s gets those whose hash lies below s, so a growing share keeps what it had.
    static let assignedRunConfig = Query(
        "assigned_run_config",
        parameters: [.text, .text, .uuid],
        columns: versionColumns,
        sql: """
            WITH started AS (
                SELECT run_config_name AS name, run_config_version AS version FROM episodes
                WHERE episode_id = $3 AND robot = $1 AND started_at IS NOT NULL
            ), hashed AS (
                SELECT coalesce(('x' || left(md5(($3::uuid)::text), 8))::bit(32)::bigint / 4294967296.0, 1) AS position
            ), scope AS (
                SELECT a.* FROM run_config_assignments AS a
                WHERE a.ended_at IS NULL
                    AND matches_pattern($1, a.robot_pattern) AND matches_pattern($2, a.task_pattern)
                ORDER BY
                    position('*' IN a.robot_pattern) = 0 DESC, length(replace(a.robot_pattern, '*', '')) DESC,
                    position('*' IN a.task_pattern) = 0 DESC, length(replace(a.task_pattern, '*', '')) DESC,
                    a.assignment_id DESC
                LIMIT 1
            ), chosen AS (
                SELECT name, version FROM started
                UNION ALL
                SELECT
                    CASE WHEN h.position < s.canary_share THEN s.canary_name ELSE s.name END,
                    CASE WHEN h.position < s.canary_share THEN s.canary_version ELSE s.version END
                FROM scope AS s CROSS JOIN hashed AS h
                WHERE NOT EXISTS (SELECT FROM started)
            )
            SELECT v.name, v.version, v.config::text AS config, v.checkpoint
            FROM chosen JOIN run_config_versions AS v USING (name, version)
            """,
        decode: version
    )

    /// name, config, checkpoint, notes, by whom: answers its version; what the newest version says already is not saved again.
    static let saveRunConfigVersion = Query(
        "save_run_config_version",
        parameters: [.text, .jsonb, .text, .text, .text],
        columns: [PostgresColumn("version", .integer)],
        sql: """
            WITH newest AS (
                SELECT version, config, checkpoint FROM run_config_versions
                WHERE name = $1 ORDER BY version DESC LIMIT 1
            ), saved AS (
                INSERT INTO run_config_versions (name, version, config, checkpoint, notes, created_by)
                SELECT $1, coalesce((SELECT version FROM newest), 0) + 1, $2, $3, $4, $5
                WHERE NOT EXISTS (SELECT FROM newest WHERE config = $2 AND checkpoint = $3)
                RETURNING version
            )
            SELECT coalesce((SELECT version FROM saved), (SELECT version FROM newest)) AS version
            """
    ) { (row) throws(StoreError) in Int32(truncatingIfNeeded: try row.integer(0)) }

    /// name, version (null: the newest).
    static let runConfigVersion = Query(
        "run_config_version",
        parameters: [.text, .integer],
        columns: versionColumns,
        sql: """
            SELECT name, version, config::text AS config, checkpoint FROM run_config_versions
            WHERE name = $1 AND ($2::integer IS NULL OR version = $2) ORDER BY version DESC LIMIT 1
            """,
        decode: version
    )

    /// Lets one change of assignments happen at a time; released at the end of the transaction.
    static let lockAssignments = Query(
        "lock_assignments",
        columns: [PostgresColumn("locked", .bool)],
        sql: """
            SELECT pg_advisory_xact_lock(hashtextextended('groot.assignments.' || current_schema(), 0)) IS NOT NULL
                AS locked
            """
    ) { (row) throws(StoreError) in try row.bool(0) }

    /// robot pattern, task pattern: what is in force.
    static let assignmentInForce = Query(
        "assignment_in_force",
        parameters: [.text, .text],
        columns: assignmentColumns,
        sql: """
            SELECT \(assignmentFields) FROM run_config_assignments
            WHERE robot_pattern = $1 AND task_pattern = $2 AND ended_at IS NULL
            """,
        decode: assignment
    )

    /// id.
    static let assignment = Query(
        "assignment",
        parameters: [.bigint],
        columns: assignmentColumns,
        sql: "SELECT \(assignmentFields) FROM run_config_assignments WHERE assignment_id = $1",
        decode: assignment
    )

    static let canariesInForce = Query(
        "canaries_in_force",
        columns: assignmentColumns,
        sql: """
            SELECT \(assignmentFields) FROM run_config_assignments
            WHERE ended_at IS NULL AND canary_name IS NOT NULL ORDER BY assignment_id
            """,
        decode: assignment
    )

    /// id.
    static let endAssignment = Query(
        "end_assignment",
        parameters: [.bigint],
        sql: "UPDATE run_config_assignments SET ended_at = now() WHERE assignment_id = $1 AND ended_at IS NULL"
    )

    /// robot pattern, task pattern, name, version, canary name, canary version, share, previous id, by whom.
    static let insertAssignment = Query(
        "insert_assignment",
        parameters: [.text, .text, .text, .integer, .text, .integer, .double, .bigint, .text],
        columns: assignmentColumns,
        sql: """
            INSERT INTO run_config_assignments (
                robot_pattern, task_pattern, name, version, canary_name, canary_version, canary_share, previous_id,
                assigned_by
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            RETURNING \(assignmentFields)
            """,
        decode: assignment
    )

    private static let versionColumns = [
        PostgresColumn("name", .text), PostgresColumn("version", .integer), PostgresColumn("config", .text),
        PostgresColumn("checkpoint", .text),
    ]

    private static let assignmentFields = """
        assignment_id, robot_pattern, task_pattern, name, version, canary_name, canary_version,
            coalesce(canary_share, 0)::text AS canary_share, previous_id
        """

    private static let assignmentColumns = [
        PostgresColumn("assignment_id", .bigint), PostgresColumn("robot_pattern", .text),
        PostgresColumn("task_pattern", .text), PostgresColumn("name", .text), PostgresColumn("version", .integer),
        PostgresColumn("canary_name", .text), PostgresColumn("canary_version", .integer),
        PostgresColumn("canary_share", .text), PostgresColumn("previous_id", .bigint),
    ]

    @Sendable private static func version(_ row: PostgresRow) throws(StoreError) -> RunConfigVersion {
        RunConfigVersion(
            id: RunConfigName(name: try row.text(0), version: Int32(truncatingIfNeeded: try row.integer(1))),
            configJSON: try row.text(2),
            checkpoint: try row.text(3)
        )
    }

    @Sendable private static func assignment(_ row: PostgresRow) throws(StoreError) -> RunConfigAssignment {
        var canary: RunConfigName?
        if let name = row.optionalText(5) {
            canary = RunConfigName(name: name, version: Int32(truncatingIfNeeded: try row.integer(6)))
        }
        return RunConfigAssignment(
            id: try row.integer(0),
            scope: RunConfigScope(robots: try row.text(1), tasks: try row.text(2)),
            stable: RunConfigName(name: try row.text(3), version: Int32(truncatingIfNeeded: try row.integer(4))),
            canary: canary,
            share: Double(try row.text(7)) ?? 0,
            previous: row.optionalText(8) == nil ? nil : try row.integer(8)
        )
    }
}
