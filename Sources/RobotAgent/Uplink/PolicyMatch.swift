package import GrootCore

/// Checks by name that a checkpoint and a robot belong together; both lists go into the message.
package enum PolicyMatch {
    /// The policy that the run uses.
    ///
    /// - Parameter checkpoint: selector of the user; nil when the workers serve exactly one.
    package static func select(
        _ checkpoint: String?,
        among served: [PolicyDescription]
    ) throws(AgentError) -> PolicyDescription {
        let names = Set(served.map(\.checkpoint)).sorted()
        if let checkpoint {
            if let policy = served.first(where: { $0.checkpoint == checkpoint }) { return policy }
            throw AgentError(
                .mismatch,
                "no worker serves checkpoint \"\(checkpoint)\"; served: \(names.isEmpty ? "nothing" : names.joined(separator: ", "))"
            )
        }
        guard let policy = served.first, names.count == 1 else {
            throw AgentError(
                .mismatch,
                names.isEmpty
                    ? "the gateway's workers serve no checkpoint"
                    : "the workers serve several checkpoints, name one with --checkpoint: \(names.joined(separator: ", "))"
            )
        }
        return policy
    }

    /// Why `policy` cannot take the place of `current` between two episodes of a run; empty when it can.
    ///
    /// Topics and control dimensions are those of the run's first policy and stay.
    package static func problems(
        replacing current: PolicyDescription,
        with policy: PolicyDescription,
        profile: RobotProfile,
        task: String
    ) -> [String] {
        var found = problems(policy: policy, profile: profile, task: task)
        if profile.controlNames(for: policy.actionNames) != profile.controlNames(for: current.actionNames) {
            found.append("action: checkpoint \(policy.checkpoint) commands other joints than \(current.checkpoint)")
        }
        if policy.actionPeriod != current.actionPeriod {
            found.append(
                "action period: the rows of checkpoint \(policy.checkpoint) are \(policy.actionPeriod.milliseconds) ms apart, "
                    + "this run plans with the \(current.actionPeriod.milliseconds) ms of \(current.checkpoint)"
            )
        }
        if policy.chunkSize > current.chunkSize {
            found.append(
                "chunk: checkpoint \(policy.checkpoint) answers \(policy.chunkSize) rows, this run has room for the "
                    + "\(current.chunkSize) of \(current.checkpoint)"
            )
        }
        let surplus =
            Set(policy.images.map(\.key)).subtracting(current.images.map(\.key)).sorted()
            + Set(policy.stateNames).subtracting(current.stateNames).sorted()
        if !surplus.isEmpty {
            found.append(
                "observation: checkpoint \(policy.checkpoint) wants \(surplus.joined(separator: ", ")), which this run "
                    + "does not read for \(current.checkpoint)"
            )
        }
        return found
    }

    /// Everything about the run that the policy contradicts; empty when they fit.
    package static func problems(
        policy: PolicyDescription,
        profile: RobotProfile,
        task: String
    ) -> [String] {
        var problems: [String] = []
        /// The policy may use a part of what the robot has, never more.
        func compare(_ what: String, _ wanted: [String], _ offered: [String], required: [String] = []) {
            let surplus = wanted.filter { !offered.contains($0) }
            let lacking = required.filter { !wanted.contains($0) }
            guard !surplus.isEmpty || !lacking.isEmpty else { return }
            let detail =
                surplus.isEmpty
                ? "the checkpoint does not command \(lacking.joined(separator: ", "))"
                : "the robot has no \(surplus.joined(separator: ", "))"
            problems.append(
                "\(what): \(detail); checkpoint \(policy.checkpoint) has [\(wanted.joined(separator: ", "))], "
                    + "robot \(profile.name) has [\(offered.joined(separator: ", "))]"
            )
        }
        compare("state", policy.stateNames, profile.stateNames)
        let claws = profile.hands.map { "\($0)_claw_position" }
        let joints = profile.jointNames(profile.armJoints)
        let poses = profile.hands.flatMap(HandNames.of)
        let commandsPoses = profile.commandsPoses(policy.actionNames)
        let arms = commandsPoses ? poses : joints
        if commandsPoses, joints.contains(where: policy.actionNames.contains) {
            problems.append(
                "action: checkpoint \(policy.checkpoint) commands joints and hand poses; only one can be followed"
            )
        }
        // One claw without the other would leave the other to chance.
        let required = arms + (claws.contains(where: policy.actionNames.contains) ? claws : [])
        compare("action", policy.actionNames, profile.actionNames, required: required)
        let cameras = Set(profile.cameras.map(\.key))
        let missing = policy.images.map(\.key).filter { !cameras.contains($0) }
        if !missing.isEmpty {
            problems.append(
                "images: checkpoint \(policy.checkpoint) wants [\(policy.images.map(\.key).joined(separator: ", "))], "
                    + "robot \(profile.name) has [\(profile.cameras.map(\.key).joined(separator: ", "))]"
            )
        }
        let rows = RowGrid.rowsPerSecond
        let perSecond = 1 / policy.actionPeriod.seconds
        if !(Double(rows.lowerBound)...Double(rows.upperBound)).contains((perSecond * 1000).rounded() / 1000) {
            problems.append(
                "action period: checkpoint \(policy.checkpoint) has \(perSecond) rows a second, this agent executes "
                    + "\(rows.lowerBound) to \(rows.upperBound)"
            )
        }
        let bytes = task.utf8.count
        if bytes > policy.maxTaskBytes {
            problems.append(
                "--task has \(bytes) bytes, checkpoint \(policy.checkpoint) reads at most \(policy.maxTaskBytes)"
            )
        }
        return problems
    }
}
