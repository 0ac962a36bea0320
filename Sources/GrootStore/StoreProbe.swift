/// What must be true of a database before anything is written into it, each with the sentence for when it is not.
///
/// Pure.
struct StoreProbe: Sendable, Equatable {
    /// `server_encoding`.
    var encoding: String
    /// The server replays what another one writes.
    var isStandby: Bool
    var isReadOnly: Bool
    /// The schema in which unqualified names are found and made; empty when `search_path` names none that exists.
    var schema: String

    /// What a gateway writes, as rows of a VALUES list.
    static let neededRights: String = {
        let tables: [(names: [String], privileges: [String])] = [
            (TelemetryTable.allCases.map(\.rawValue) + ["robot_boots"], ["SELECT", "INSERT"]),
            (
                [
                    "robots", "workers", "worker_checkpoints", "checkpoints", "run_configs", "run_config_versions",
                    "episodes", "telemetry_boots", "episode_checkpoints",
                ], ["SELECT", "INSERT", "UPDATE"]
            ),
            (["quarantine"], ["SELECT", "INSERT", "DELETE"]),
            (["run_config_assignments", "episode_metrics", "checkpoint_comparison"], ["SELECT"]),
        ]
        return tables.flatMap { group in
            group.names.flatMap { name in group.privileges.map { "('\(name)', '\($0)')" } }
        }.joined(separator: ", ")
    }()

    /// Nil when the server can be worked with.
    ///
    /// - Parameter writing: whether anything is to be written.
    func problem(writing: Bool) -> StoreError? {
        guard encoding == "UTF8" else {
            return StoreError(
                .encoding,
                "server_encoding is \(encoding), UTF8 is needed; make the database anew with ENCODING 'UTF8' TEMPLATE template0"
            )
        }
        guard !schema.isEmpty else {
            return StoreError(
                .schemaOutdated,
                "search_path names no schema that exists or that the login may use; set it for the login, or grant USAGE"
            )
        }
        guard writing, isStandby || isReadOnly else { return nil }
        return StoreError(
            .readOnly,
            isStandby
                ? "the server is a standby and takes no writes; name the primary, or all of them: host=a,b"
                : "the server takes no writes (default_transaction_read_only is on)"
        )
    }

    /// Nil when the login may do what a gateway does.
    static func problem(missingRights: String, schema: String) -> StoreError? {
        guard !missingRights.isEmpty else { return nil }
        return StoreError(
            .rights,
            "the login lacks rights in schema \(schema): \(missingRights); make it a member of groot_writer"
        )
    }
}
