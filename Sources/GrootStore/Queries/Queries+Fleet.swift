extension Queries {
    /// robot, boot, profile, agent version, host.
    static let registerRobot = Query(
        "register_robot",
        parameters: [.text, .text, .text, .text, .text],
        sql: """
            INSERT INTO robots AS r (robot, boot, profile, agent_version, host)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (robot) DO UPDATE SET
                boot = excluded.boot, profile = excluded.profile, agent_version = excluded.agent_version,
                host = excluded.host, last_seen_at = now()
            """
    )

    /// A robot whose registration has not arrived.
    static let ensureRobot = Query(
        "ensure_robot",
        parameters: [.text],
        sql: "INSERT INTO robots (robot) VALUES ($1) ON CONFLICT (robot) DO NOTHING"
    )

    /// name, address.
    static let saveWorker = Query(
        "save_worker",
        parameters: [.text, .text],
        sql: """
            INSERT INTO workers (worker, address) VALUES ($1, $2)
            ON CONFLICT (worker) DO UPDATE SET address = excluded.address, last_seen_at = now()
            """
    )

    /// sha256, name, policy type, runtime, features, chunk size, action period in ns.
    static let saveCheckpoint = Query(
        "save_checkpoint",
        parameters: [.text, .text, .text, .text, .jsonb, .integer, .bigint],
        sql: """
            INSERT INTO checkpoints (sha256, name, policy_type, runtime, features, chunk_size, action_period_ns)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (sha256) DO UPDATE SET
                name = excluded.name, policy_type = excluded.policy_type, runtime = excluded.runtime,
                features = excluded.features, chunk_size = excluded.chunk_size,
                action_period_ns = excluded.action_period_ns, last_seen_at = now()
            """
    )

    /// sha256, name: a checkpoint that an episode names and no worker has described.
    static let ensureCheckpoint = Query(
        "ensure_checkpoint",
        parameters: [.text, .text],
        sql: "INSERT INTO checkpoints (sha256, name) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING"
    )

    /// worker, sha256.
    static let saveWorkerCheckpoint = Query(
        "save_worker_checkpoint",
        parameters: [.text, .text],
        sql: """
            INSERT INTO worker_checkpoints (worker, checkpoint_sha256) VALUES ($1, $2)
            ON CONFLICT (worker, checkpoint_sha256) DO UPDATE SET last_seen_at = now()
            """
    )
}
