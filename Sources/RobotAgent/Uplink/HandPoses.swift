import GRPCCore
import GrootAPI
import GrootCore

/// Turns answers of a policy that commands hand poses into joint targets, row by row.
///
/// Each row starts the search at the joints of the row before it, so that an arm with one joint more than it needs
/// stays in one posture. A pose out of reach refuses the whole chunk: a hand that stops short of a box grips air.
struct HandPoses: Sendable {
    private let arms: [(kinematics: ArmKinematics, poses: [String], joints: [String], range: Range<Int>)]

    /// Nil for a policy that commands joints.
    init?(policy: PolicyDescription, profile: RobotProfile) {
        guard profile.commandsPoses(policy.actionNames), let kinematics = profile.kinematics else { return nil }
        arms = [
            (kinematics.left, HandNames.of("left"), profile.jointNames(profile.leftJoints), profile.leftJoints),
            (kinematics.right, HandNames.of("right"), profile.jointNames(profile.rightJoints), profile.rightJoints),
        ]
    }

    /// - Parameter measured: joints at the observation, left arm, then right arm.
    func joints(_ answer: Groot_V1_InferResponse, from measured: [Float]) throws -> Groot_V1_InferResponse {
        let names = answer.actionNames
        let width = names.count
        let rows = Int(answer.rows)
        guard rows > 0, answer.values.count == rows * width, measured.count >= (arms.last?.range.upperBound ?? 0)
        else {
            throw RPCError(code: .dataLoss, message: "\(rows) rows in \(answer.values.count) values")
        }
        let columns = try arms.map { arm in
            try arm.poses.map { name in
                guard let column = names.firstIndex(of: name) else {
                    throw RPCError(code: .dataLoss, message: "no action \(name) in [\(names.joined(separator: ", "))]")
                }
                return column
            }
        }
        let others = names.indices.filter { index in !columns.contains { $0.contains(index) } }
        var seeds = arms.map { Array(measured[$0.range]) }
        var result = answer
        result.actionNames = arms.flatMap(\.joints) + others.map { names[$0] }
        result.values = []
        for row in 0..<rows {
            for (side, arm) in arms.enumerated() {
                let values = columns[side].map { answer.values[row * width + $0] }
                guard let pose = ArmKinematics.Pose(values) else {
                    throw RPCError(code: .dataLoss, message: "row \(row): \(arm.poses[0])... is no pose: \(values)")
                }
                switch arm.kinematics.joints(for: pose, from: seeds[side]) {
                case .joints(let joints): seeds[side] = joints
                case .outOfReach(let metres, let radians):
                    throw RPCError(
                        code: .outOfRange,
                        message: "row \(row): the \(side == 0 ? "left" : "right") hand cannot get there; "
                            + "\(Int(metres * 1000)) mm and \(Int(radians * 57.3)) degrees are missing"
                    )
                }
            }
            result.values += seeds.flatMap { $0 } + others.map { answer.values[row * width + $0] }
        }
        return result
    }
}
