import ROS1

/// Turns the robot's messages into the profile's dimensions and what the contract judges. Pure.
struct InputReading: Sendable {
    let profile: RobotProfile

    /// Arm joints (rad) and their torque; empty when the robot does not say it.
    func joints(_ message: SensorsData) -> (content: InputContent, values: [Float], torque: [Float]) {
        let angles = message.joints.q
        if let expected = profile.jointCount, angles.count != expected {
            return (.unusable(.count(angles.count, "joints", expected: "this robot has \(expected)")), [], [])
        }
        guard let last = profile.jointIndices.max(), last < angles.count else {
            let expected = "the profile reads joint \(profile.jointIndices.max() ?? 0)"
            return (.unusable(.count(angles.count, "joints", expected: expected)), [], [])
        }
        let values = profile.jointIndices.map { Float(angles[$0]) }
        let torque = message.joints.torque
        // A limit on what is not measured would protect nobody.
        if profile.arm.maximumTorqueNm != nil, last >= torque.count {
            let expected = "arm.maximum_torque_nm limits joint \(last)"
            return (.unusable(.count(torque.count, "joint torques", expected: expected)), [], [])
        }
        return (
            .joints(values, total: angles.count), values,
            last < torque.count ? profile.jointIndices.map { Float(torque[$0]) } : []
        )
    }

    func claws(_ message: LejuClawState) -> (content: InputContent, values: [Float]) {
        let positions = message.data.position
        guard let last = profile.claw.stateIndices.max(), last < positions.count else {
            let expected = "expected \(profile.claw.stateIndices.count)"
            return (.unusable(.count(positions.count, "claws", expected: expected)), [])
        }
        let values = profile.claw.stateIndices.map { Float(positions[$0]) }
        return (.values(values, total: positions.count), values)
    }

    func extra(_ values: [Float], _ extra: ObservationBuffers.Extra) -> InputContent {
        let least = extra == .body ? (RobotProfile.bodyIndices.max() ?? 0) + 1 : 3
        guard values.count >= least else {
            return .unusable(.count(values.count, "values", expected: "expected at least \(least)"))
        }
        return .values(values, total: values.count)
    }
}

extension InputContract.Configuration {
    /// What `profile` promises, of which a policy uses `cameraKeys` and `extras`.
    ///
    /// - Parameters:
    ///   - cameraKeys: cameras of the profile that the policy uses; the others are not demanded.
    ///   - unneeded: further cameras that are looked at and prevent nothing.
    package init(
        _ profile: RobotProfile,
        cameraKeys: [String],
        extras: [ObservationBuffers.Extra],
        commandsBase: Bool,
        unneeded: [String] = []
    ) {
        self.init()
        let limits = profile.limits
        let joints = Duration.milliseconds(Int64(limits.staleJointStateMs))
        let claws = Duration.milliseconds(Int64(limits.staleClawStateMs ?? limits.staleJointStateMs))
        let pictures = Duration.milliseconds(Int64(limits.staleCameraMs))
        demands = [
            .init(.joints, profile.topics.jointState, staleAfter: joints, silence: .blind),
            .init(.claws, profile.topics.clawState, staleAfter: claws, silence: .blind),
        ]
        for camera in profile.cameras where cameraKeys.contains(camera.key) || unneeded.contains(camera.key) {
            demands.append(
                .init(
                    .camera(camera.key),
                    camera.topic,
                    staleAfter: pictures,
                    silence: [],
                    isNeeded: cameraKeys.contains(camera.key)
                )
            )
        }
        for extra in extras {
            guard let topic = profile.topic(of: extra) else { continue }
            demands.append(.init(.extra(extra), topic, staleAfter: pictures, silence: []))
        }
        let arm = profile.arm
        let margin = arm.measuredMarginRad ?? Self.defaultMargin
        self.joints = profile.armJoints.map { joint in
            .init(
                name: arm.commandNames[joint],
                range: arm.minimumRad[joint]...arm.maximumRad[joint],
                margin: margin
            )
        }
        let claw = profile.claw
        let range = min(claw.open, claw.closed)...max(claw.open, claw.closed)
        self.claws = claw.commandNames.map { name in
            .init(name: name, range: range, margin: (range.upperBound - range.lowerBound) * Self.clawMargin)
        }
        commands = [profile.topics.armCommand, profile.topics.clawCommand]
        if commandsBase, let topic = profile.topics.baseCommand { commands.append(topic) }
    }

    /// How far beyond its range a joint may be measured (rad) where the profile says nothing.
    static let defaultMargin: Float = 0.1
    /// The same for claws, as a share of their range.
    static let clawMargin: Float = 0.1
}
