import GrootCore

/// A block of the state vector, by the name that configurations of this robot family use.
package enum StateComponent: String, Sendable, Codable, CaseIterable {
    case joints = "J_q"
    case imu = "IMU"
    case claws = "Claw_pos"
    case body = "Com_z_pitch"
    /// Pose of a hand, computed from the arm's joints.
    case leftPose = "Left_eef"
    case rightPose = "Right_eef"

    /// Names of the dimensions on a robot, in order.
    package func names(of profile: RobotProfile) -> [String] {
        switch self {
        case .joints: profile.jointNames(profile.armJoints)
        case .imu: ["lin_acc_x", "lin_acc_y", "lin_acc_z", "ang_vel_x", "ang_vel_y", "ang_vel_z"]
        case .claws: profile.hands.map { "\($0)_claw_state" }
        // Spelled so in every data set.
        case .body: ["com_z_position", "com_pitch_eular"]
        case .leftPose: HandNames.of("left")
        case .rightPose: HandNames.of("right")
        }
    }
}

/// Dimensions of a hand's pose: position (m) and the first two columns of its rotation, in the torso's frame.
enum HandNames {
    static func of(_ side: String) -> [String] {
        ["x", "y", "z", "r11", "r21", "r31", "r12", "r22", "r32"].map { "\(side)_eef_\($0)" }
    }
}

/// A block of the action vector.
package enum ActionComponent: String, Sendable, Codable, CaseIterable {
    case leftArm = "Left_arm"
    case rightArm = "Right_arm"
    case leftClaw = "Left_claw"
    case rightClaw = "Right_claw"
    case height = "Cmd_pose_z"
    case pitch = "Cmd_pose_pitch"
    /// Absolute pose of a hand; the agent finds the joints.
    case leftPose = "Left_eef"
    case rightPose = "Right_eef"

    /// Names of the dimensions on a robot, in order.
    package func names(of profile: RobotProfile) -> [String] {
        switch self {
        case .leftArm: profile.jointNames(profile.leftJoints)
        case .rightArm: profile.jointNames(profile.rightJoints)
        case .leftClaw: ["left_claw_position"]
        case .rightClaw: ["right_claw_position"]
        case .height: ["cmd_pose_z"]
        case .pitch: ["cmd_pose_pitch"]
        case .leftPose: HandNames.of("left")
        case .rightPose: HandNames.of("right")
        }
    }
}

/// Where one dimension of a state vector comes from.
package enum StateSource: Sendable, Equatable {
    case joint(Int)
    case claw(Int)
    case linearAcceleration(Int)
    case angularVelocity(Int)
    /// Index into `mpc_observation.state`.
    case body(Int)
    /// Index into the hand's nine values.
    case leftPose(Int)
    case rightPose(Int)
}

extension RobotProfile {
    /// Positions of base height and pitch in a biped's whole-body state.
    static let bodyIndices = [8, 10]

    /// The left arm's joints among `armJoints`; they come first.
    package var leftJoints: Range<Int> { 0..<min(max(0, arm.leftJoints ?? jointIndices.count / 2), jointIndices.count) }
    package var rightJoints: Range<Int> { leftJoints.upperBound..<jointIndices.count }
    /// The arms that the robot has; each has a claw.
    package var hands: [String] { (leftJoints.isEmpty ? [] : ["left"]) + (rightJoints.isEmpty ? [] : ["right"]) }

    /// Names of joints as policies of this family use them, counted through both arms from 1.
    func jointNames(_ joints: Range<Int>) -> [String] { joints.map { "arm_joint_\($0 + 1)" } }

    /// Everything the robot can measure, by name.
    package var stateNames: [String] { stateComponents.flatMap { $0.names(of: self) } }
    /// Everything the robot can be told, by name.
    package var actionNames: [String] { actionComponents.flatMap { $0.names(of: self) } }

    package func source(of name: String) -> StateSource? {
        for component in stateComponents {
            guard let index = component.names(of: self).firstIndex(of: name) else { continue }
            switch component {
            case .joints: return .joint(index)
            case .claws: return .claw(index)
            case .imu: return index < 3 ? .linearAcceleration(index) : .angularVelocity(index - 3)
            case .body: return .body(Self.bodyIndices[index])
            case .leftPose: return .leftPose(index)
            case .rightPose: return .rightPose(index)
            }
        }
        return nil
    }

    /// One dimension of an observation by name; nil when the robot does not measure it.
    package func value(of name: String, in observation: ObservationBuffers.Aligned) -> Float? {
        func element(_ values: [Float]?, _ index: Int) -> Float? {
            values.flatMap { $0.indices.contains(index) ? $0[index] : nil }
        }
        switch source(of: name) {
        case .joint(let index): return element(observation.state, index)
        case .claw(let index): return element(observation.state, claws.lowerBound + index)
        case .linearAcceleration(let index): return element(observation.extras[.linearAcceleration], index)
        case .angularVelocity(let index): return element(observation.extras[.angularVelocity], index)
        case .body(let index): return element(observation.extras[.body], index)
        case .leftPose(let index):
            return element(kinematics?.left.pose(of: Array(observation.state.prefix(leftJoints.count))).values, index)
        case .rightPose(let index):
            return element(
                kinematics?.right.pose(
                    of: Array(observation.state.dropFirst(leftJoints.count).prefix(rightJoints.count))
                ).values,
                index
            )
        case nil: return nil
        }
    }

    /// Inputs beside joints and claws that a policy with these state names needs.
    package func extras(for policyStates: [String]) -> [ObservationBuffers.Extra] {
        ObservationBuffers.Extra.allCases.filter { extra in
            policyStates.contains { name in
                switch (source(of: name), extra) {
                case (.linearAcceleration, .linearAcceleration), (.angularVelocity, .angularVelocity), (.body, .body):
                    true
                default: false
                }
            }
        }
    }

    package func topic(of extra: ObservationBuffers.Extra) -> String? {
        switch extra {
        case .linearAcceleration: topics.linearAcceleration
        case .angularVelocity: topics.angularVelocity
        case .body: topics.bodyState
        }
    }

    /// Names of the control loop's dimensions for a policy: arm joints, claws, then the base when it commands it.
    package func controlNames(for policyActions: [String]) -> [String] {
        let claws = hands.map { "\($0)_claw_position" }
        let base = ActionComponent.height.names(of: self) + ActionComponent.pitch.names(of: self)
        return jointNames(armJoints) + claws + (base.contains(where: policyActions.contains) ? base : [])
    }

    /// Both arms, when the profile knows how they are built.
    package var kinematics: (left: ArmKinematics, right: ArmKinematics)? {
        guard let chains = arm.chains else { return nil }
        let limits = zip(arm.minimumRad, arm.maximumRad).map { Double($0)...Double($1) }
        return (
            ArmKinematics(chains.left, limits: Array(limits[leftJoints])),
            ArmKinematics(chains.right, limits: Array(limits[rightJoints]))
        )
    }

    /// Whether a policy commands where the hands are to be instead of joints.
    package func commandsPoses(_ policyActions: [String]) -> Bool {
        (HandNames.of("left") + HandNames.of("right")).contains(where: policyActions.contains)
    }

    /// What is wrong with the components; part of `problems`.
    var componentProblems: [String] {
        var problems: [String] = []
        if !stateComponents.contains(.joints) { problems.append("state_components lacks J_q") }
        for (arm, joints) in [(ActionComponent.leftArm, leftJoints), (.rightArm, rightJoints)]
        where actionComponents.contains(arm) == joints.isEmpty {
            problems.append(
                joints.isEmpty
                    ? "action_components has \(arm.rawValue), but that arm has no joint"
                    : "action_components lacks \(arm.rawValue)"
            )
        }
        if hands.count == 2, actionComponents.contains(.leftClaw) != actionComponents.contains(.rightClaw) {
            problems.append("action_components has one claw; the other would not be commanded")
        }
        if stateComponents.contains(.imu), topics.angularVelocity == nil || topics.linearAcceleration == nil {
            problems.append("state_components has IMU, topics lack angular_velocity or linear_acceleration")
        }
        if stateComponents.contains(.body), topics.bodyState == nil {
            problems.append("state_components has Com_z_pitch, topics lack body_state")
        }
        let commandsBase = actionComponents.contains(.height) || actionComponents.contains(.pitch)
        if commandsBase, topics.baseCommand == nil || base == nil {
            problems.append("action_components has Cmd_pose, topics lack base_command or base is missing")
        }
        if let base, [base.minimum, base.maximum, base.maximumVelocity].contains(where: { $0.count != 2 }) {
            problems.append("base: minimum, maximum and maximum_velocity need two entries, height and pitch")
        }
        let poses =
            stateComponents.contains { [.leftPose, .rightPose].contains($0) }
            || actionComponents.contains { [.leftPose, .rightPose].contains($0) }
        if poses, arm.chains == nil { problems.append("the components have hand poses, arm.chains is missing") }
        if let chains = arm.chains {
            for (side, chain, joints) in [("left", chains.left, leftJoints), ("right", chains.right, rightJoints)]
            where !chain.isComplete || chain.joints != joints.count {
                problems.append(
                    "arm.chains.\(side): the arm needs \(joints.count) origins_m of three metres and \(joints.count) axes"
                )
            }
        }
        if actionComponents.contains(.leftPose) != actionComponents.contains(.rightPose) {
            problems.append("action_components has the pose of one hand only")
        }
        if let left = arm.leftJoints, !(0...jointIndices.count).contains(left) {
            problems.append("arm.left_joints is \(left), joint_indices has \(jointIndices.count) entries")
        }
        for (key, count) in [
            ("state_indices", claw.stateIndices.count), ("command_names", claw.commandNames.count),
        ] where count != hands.count {
            problems.append("claw.\(key) has \(count) entries, the robot has \(hands.count) arms")
        }
        return problems
    }
}
