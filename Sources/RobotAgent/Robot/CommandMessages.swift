import ROS1

/// A command as the robot's messages: degrees for the arms, percent for the claws, height and pitch for the base.
///
/// Kept and rewritten in place, so that the control thread allocates nothing.
struct CommandMessages: Sendable {
    private(set) var arms: JointState
    private(set) var claws: LejuClawCommand
    private(set) var base = Twist()
    private let profile: RobotProfile
    private let hasBase: Bool

    init(profile: RobotProfile, commandsBase: Bool) {
        self.profile = profile
        hasBase = commandsBase
        arms = JointState(
            name: profile.arm.commandNames,
            position: Array(repeating: 0, count: profile.armJoints.count)
        )
        let zeros = [Double](repeating: 0, count: profile.claws.count)
        claws = LejuClawCommand(
            data: EndEffectorData(
                name: profile.claw.commandNames,
                position: zeros,
                velocity: zeros.map { _ in profile.claw.velocity },
                effort: zeros.map { _ in profile.claw.effortA }
            )
        )
    }

    /// Values of a command: arms in rad, claws 0 to 100, then height and pitch of the base when it is commanded.
    var dimensions: Int { profile.claws.upperBound + (hasBase ? 2 : 0) }

    mutating func set(_ command: [Float], header: ROSHeader) {
        arms.header = header
        claws.header = header
        for joint in 0..<profile.armJoints.count { arms.position[joint] = Double(command[joint]) * 180 / .pi }
        let first = profile.claws.lowerBound
        for index in 0..<profile.claws.count {
            claws.data.position[profile.claw.stateIndices[index]] = Double(command[first + index])
        }
        guard hasBase else { return }
        base.linear.z = Double(command[first + profile.claws.count])
        base.angular.y = Double(command[first + profile.claws.count + 1])
    }
}
