import Foundation

extension Store {
    /// What a robot should use for an episode; nil when nothing is assigned.
    package func assignedRunConfig(_ question: RunConfigQuestion) async throws(StoreError) -> RunConfigVersion? {
        try await withConnection("assigned_run_config") { (connection) throws(StoreError) in
            try connection.fetch(
                Queries.assignedRunConfig,
                [.text(question.robot), .text(question.task), .optional(question.episode?.uuidString)]
            ).first
        }
    }

    /// Saves a version of a run config; what the newest version says already is not saved again.
    package func saveRunConfig(
        name: String,
        configJSON: String,
        checkpoint: String,
        notes: String,
        by person: String
    ) async throws(StoreError) -> RunConfigName {
        try await withConnection("save_run_config_version") { (connection) throws(StoreError) in
            let version = try connection.fetch(
                Queries.saveRunConfigVersion,
                [.text(name), .text(configJSON), .text(checkpoint), .text(notes), .text(person)]
            ).first
            guard let version else { throw StoreError(.rejected, "the run config \(name) was not saved") }
            return RunConfigName(name: name, version: version)
        }
    }

    /// Checks that a worker or an episode ever named a checkpoint so.
    ///
    /// - Throws: `notFound`, with the names that there are.
    package func knowsCheckpoint(_ name: String) async throws(StoreError) {
        let known = try await withConnection("checkpoint_names") { (connection) throws(StoreError) in
            try connection.fetch(Queries.checkpointNames)
        }
        guard !known.contains(name) else { return }
        let names = known.isEmpty ? "none is known yet" : "there are \(known.joined(separator: ", "))"
        throw StoreError(
            .notFound,
            "there is no checkpoint \(name); \(names). Load it into a worker first, or say --unseen-checkpoint"
        )
    }

    /// Why episodes of an assignment may be answered by a checkpoint that nobody meant; nil when they may not.
    ///
    /// A run config without a checkpoint takes whatever the workers serve, which is the trial's checkpoint too.
    package func ambiguity(of assignment: RunConfigAssignment) async throws(StoreError) -> String? {
        guard let canary = assignment.canary else { return nil }
        let (stable, trial) = try await withConnection("run_config_version") { (connection) throws(StoreError) in
            let versions = try [assignment.stable, canary].map { (id) throws(StoreError) in
                try connection.fetch(Queries.runConfigVersion, [.text(id.name), .integer(Int64(id.version))]).first
            }
            return (versions[0]?.checkpoint ?? "", versions[1]?.checkpoint ?? "")
        }
        guard stable.isEmpty, !trial.isEmpty else { return nil }
        return
            "\(assignment.stable) names no checkpoint, so its episodes may be answered by \(trial) too, and a comparison says "
            + "nothing; save it with --checkpoint, and assign that"
    }

    /// Puts a run config in force for a scope, or on trial with a share of its episodes beside what is in force.
    ///
    /// - Parameter version: nil is the newest.
    /// - Parameter share: more than 0 and less than 1; nil is everything.
    /// - Throws: `notFound` when there is no such run config, or nothing in force to try it beside.
    package func assignRunConfig(
        name: String,
        version: Int32?,
        to scope: RunConfigScope,
        share: Double?,
        by person: String
    ) async throws(StoreError) -> RunConfigAssignment {
        try await changing(scope, by: person) { (current, connection) throws(StoreError) in
            let found = try connection.fetch(
                Queries.runConfigVersion,
                [.text(name), .optional(version.map(Int64.init))]
            ).first
            guard let wanted = found?.id else {
                throw StoreError(
                    .notFound,
                    "there is no run config \(name)\(version.map { "@\($0)" } ?? ""); make it with runs save"
                )
            }
            try connection.run(Queries.useRunConfig, [.text(wanted.name), .integer(Int64(wanted.version))])
            guard let share else { return Change(stable: wanted, previous: current?.id) }
            guard let current else {
                throw StoreError(
                    .notFound,
                    "nothing is in force for \(scope), so there is nothing to try \(wanted) beside; assign one without "
                        + "--share first"
                )
            }
            guard current.stable != wanted else {
                throw StoreError(.conflict, "\(wanted) is what \(scope) use already")
            }
            return Change(stable: current.stable, canary: wanted, share: share, previous: current.previous)
        }
    }

    /// Makes the run config on trial the one in force.
    package func promoteRunConfig(
        _ scope: RunConfigScope,
        by person: String
    ) async throws(StoreError) -> RunConfigAssignment {
        try await changing(scope, by: person) { (current, _) throws(StoreError) in
            guard let current, let canary = current.canary else {
                throw StoreError(.notFound, "nothing is on trial for \(scope)")
            }
            return Change(stable: canary, previous: current.id)
        }
    }

    /// Ends a trial; without one, returns to what was in force before the last change.
    package func rollBackRunConfig(
        _ scope: RunConfigScope,
        by person: String
    ) async throws(StoreError) -> RunConfigAssignment {
        try await changing(scope, by: person) { (current, connection) throws(StoreError) in
            guard let current else { throw StoreError(.notFound, "nothing is assigned to \(scope)") }
            if current.canary != nil { return Change(stable: current.stable, previous: current.previous) }
            let earlier = try current.previous.map { (id) throws(StoreError) in
                try connection.fetch(Queries.assignment, [.integer(id)])
            }?.first
            guard let earlier else {
                throw StoreError(.notFound, "there is nothing before \(current.stable) for \(scope)")
            }
            return Change(stable: earlier.stable, previous: earlier.previous)
        }
    }

    /// Leaves a scope without a run config: agents use their own flags and defaults.
    package func unassignRunConfig(_ scope: RunConfigScope) async throws(StoreError) {
        try await withConnection("unassign_run_config") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                let key: [PostgresValue] = [.text(scope.robots), .text(scope.tasks)]
                _ = try connection.fetch(Queries.lockAssignments)
                guard let current = try connection.fetch(Queries.assignmentInForce, key).first else {
                    throw StoreError(.notFound, "nothing is assigned to \(scope)")
                }
                try connection.run(Queries.endAssignment, [.integer(current.id)])
            }
        }
    }

    /// Every trial that is running.
    package func canariesInForce() async throws(StoreError) -> [RunConfigAssignment] {
        try await withConnection("canaries_in_force") { (connection) throws(StoreError) in
            try connection.fetch(Queries.canariesInForce)
        }
    }

    private struct Change {
        var stable: RunConfigName
        var canary: RunConfigName?
        var share: Double?
        var previous: Int64?
    }

    /// Replaces what is in force for a scope in one transaction; two people at once take turns.
    private func changing(
        _ scope: RunConfigScope,
        by person: String,
        _ decide: @Sendable (RunConfigAssignment?, PostgresConnection) throws(StoreError) -> Change
    ) async throws(StoreError) -> RunConfigAssignment {
        try await withConnection("change_assignment") { (connection) throws(StoreError) in
            try connection.transaction { (connection) throws(StoreError) in
                let key: [PostgresValue] = [.text(scope.robots), .text(scope.tasks)]
                _ = try connection.fetch(Queries.lockAssignments)
                let current = try connection.fetch(Queries.assignmentInForce, key).first
                let change = try decide(current, connection)
                if let current { try connection.run(Queries.endAssignment, [.integer(current.id)]) }
                let made = try connection.fetch(
                    Queries.insertAssignment,
                    key + [
                        .text(change.stable.name), .integer(Int64(change.stable.version)),
                        .optional(change.canary?.name), .optional(change.canary.map { Int64($0.version) }),
                        .optional(change.share.map { "\($0)" }), .optional(change.previous), .text(person),
                    ]
                ).first
                guard let made else { throw StoreError(.rejected, "the assignment was not made") }
                return made
            }
        }
    }
}
