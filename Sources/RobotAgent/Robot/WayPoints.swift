/// Way-points of a profile: what they must be before a session may drive through them.
extension RobotProfile.Arm {
    /// Most way-points of one profile. More is a trajectory, which is a policy's business.
    static let maximumWayPoints = 32

    /// What is wrong with the way-points, by number and joint; part of `RobotProfile.problems`.
    var wayPointProblems: [String] {
        guard let points = wayPointsRad else { return [] }
        var problems: [String] = []
        if points.count > Self.maximumWayPoints {
            problems.append("arm.way_points_rad has \(points.count) poses, at most \(Self.maximumWayPoints) are driven")
        }
        for (index, pose) in points.prefix(Self.maximumWayPoints).enumerated() {
            guard pose.count == homeRad.count else {
                problems.append(
                    "arm.way_points_rad: pose \(index + 1) has \(pose.count) values, home_rad has \(homeRad.count)"
                )
                continue
            }
            for (joint, value) in pose.enumerated() where !isReachable(value, joint: joint) {
                let name = commandNames.indices.contains(joint) ? commandNames[joint] : "joint \(joint)"
                problems.append(
                    "arm.way_points_rad: \(name) is \(value) in pose \(index + 1), outside of its limits"
                )
            }
        }
        return problems
    }

    /// Limits that are missing or the wrong way round are a problem of their own.
    private func isReachable(_ value: Float, joint: Int) -> Bool {
        guard minimumRad.indices.contains(joint), maximumRad.indices.contains(joint) else { return true }
        return value >= minimumRad[joint] && value <= maximumRad[joint]
    }
}
