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

    /// Names of the dimensions, in order.
    package var names: [String] {
        switch self {
        case .joints: (1...14).map { "arm_joint_\($0)" }
        case .imu: ["lin_acc_x", "lin_acc_y", "lin_acc_z", "ang_vel_x", "ang_vel_y", "ang_vel_z"]
        case .claws: ["left_claw_state", "right_claw_state"]
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

    package var names: [String] {
        switch self {
        case .leftArm: (1...7).map { "arm_joint_\($0)" }
        case .rightArm: (8...14).map { "arm_joint_\($0)" }
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

    /// Everything the robot can measure, by name.
    package var stateNames: [String] { stateComponents.flatMap(\.names) }
    /// Everything the robot can be told, by name.
    package var actionNames: [String] { actionComponents.flatMap(\.names) }

    package func source(of name: String) -> StateSource? {
        for component in stateComponents {
            guard let index = component.names.firstIndex(of: name) else { continue }
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
            return element(kinematics?.left.pose(of: Array(observation.state.prefix(7))).values, index)
        case .rightPose(let index):
            return element(kinematics?.right.pose(of: Array(observation.state.dropFirst(7).prefix(7))).values, index)
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

    /// Names of the control loop's dimensions for a policy: 14 arm joints, 2 claws, then the base when it commands it.
    package func controlNames(for policyActions: [String]) -> [String] {
        let arms = ActionComponent.leftArm.names + ActionComponent.rightArm.names
        let claws = ActionComponent.leftClaw.names + ActionComponent.rightClaw.names
        let base = ActionComponent.height.names + ActionComponent.pitch.names
        return arms + claws + (base.contains(where: policyActions.contains) ? base : [])
    }

    /// Both arms, when the profile knows how they are built.
    package var kinematics: (left: ArmKinematics, right: ArmKinematics)? {
        guard let chains = arm.chains else { return nil }
        let limits = zip(arm.minimumRad, arm.maximumRad).map { Double($0)...Double($1) }
        return (
            ArmKinematics(chains.left, limits: Array(limits[0..<7])),
            ArmKinematics(chains.right, limits: Array(limits[7..<14]))
        )
    }

    /// Whether a policy commands where the hands are to be instead of joints.
    package func commandsPoses(_ policyActions: [String]) -> Bool {
        (ActionComponent.leftPose.names + ActionComponent.rightPose.names).contains(where: policyActions.contains)
    }

    /// What is wrong with the components; part of `problems`.
    var componentProblems: [String] {
        var problems: [String] = []
        if !stateComponents.contains(.joints) { problems.append("state_components lacks J_q") }
        for arm in [ActionComponent.leftArm, .rightArm] where !actionComponents.contains(arm) {
            problems.append("action_components lacks \(arm.rawValue)")
        }
        if actionComponents.contains(.leftClaw) != actionComponents.contains(.rightClaw) {
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
        if let chains = arm.chains, !chains.left.isComplete || !chains.right.isComplete {
            problems.append("arm.chains: each arm needs seven origins_m of three metres and seven axes")
        }
        if actionComponents.contains(.leftPose) != actionComponents.contains(.rightPose) {
            problems.append("action_components has the pose of one hand only")
        }
        if jointIndices.count != 14 { problems.append("joint_indices has \(jointIndices.count) entries, expected 14") }
        return problems
    }
}
