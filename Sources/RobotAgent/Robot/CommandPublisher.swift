import GrootCore
import ROS1

/// Turns commands of the control loop into the robot's messages: degrees for the arms, percent for the claws.
struct CommandPublisher: Sendable {
    private let profile: RobotProfile
    private let arms: ROSPublisher<JointState>
    private let claws: ROSPublisher<LejuClawCommand>
    private let base: ROSPublisher<Twist>?
    private let tap: (any MessageTap)?

    /// - Parameter commandsBase: the policy commands height and pitch of the base too.
    init(profile: RobotProfile, commandsBase: Bool, node: ROSNode, tap: (any MessageTap)?) async throws(ROSError) {
        self.profile = profile
        self.tap = tap
        // Queue 2: an old command is worth nothing to a slow subscriber.
        arms = try await node.advertise(profile.topics.armCommand, as: JointState.self, queue: 2)
        claws = try await node.advertise(profile.topics.clawCommand, as: LejuClawCommand.self, queue: 2)
        base =
            if commandsBase, let topic = profile.topics.baseCommand {
                try await node.advertise(topic, as: Twist.self, queue: 2)
            } else { nil }
    }

    /// One command: arms in rad, claws 0 to 100, then height and pitch. Called by the publishing thread.
    func publish(_ command: [Float]) {
        let header = ROSHeader(stamp: .now())
        let now = MonotonicInstant.now()
        let joints = JointState(
            header: header,
            name: profile.arm.commandNames,
            position: profile.armJoints.map { Double(command[$0]) * 180 / .pi }
        )
        arms.publish(joints)
        tap?.published(joints, topic: profile.topics.armCommand, at: now)
        var positions = [Double](repeating: 0, count: profile.claws.count)
        for (index, target) in profile.claw.stateIndices.enumerated() {
            positions[target] = Double(command[profile.claws.lowerBound + index])
        }
        let grip = LejuClawCommand(
            header: header,
            data: EndEffectorData(
                name: profile.claw.commandNames,
                position: positions,
                velocity: positions.map { _ in profile.claw.velocity },
                effort: positions.map { _ in profile.claw.effortA }
            )
        )
        claws.publish(grip)
        tap?.published(grip, topic: profile.topics.clawCommand, at: now)
        guard let base, let topic = profile.topics.baseCommand, command.count >= profile.claws.upperBound + 2 else {
            return
        }
        var pose = Twist()
        pose.linear.z = Double(command[profile.claws.upperBound])
        pose.angular.y = Double(command[profile.claws.upperBound + 1])
        base.publish(pose)
        tap?.published(pose, topic: topic, at: now)
    }
}
