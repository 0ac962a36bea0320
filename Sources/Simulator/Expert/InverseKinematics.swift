import Foundation

/// Damped least squares with an active set: a joint at its limit that would be pushed further is frozen
/// and the rest solved again.
///
/// Always tends to the same solution, so joint targets are a smooth function
/// of the palm pose. Pure; left arm only.
enum InverseKinematics {
    static let damping = 1e-4
    static let posturePull = 1e-5
    static let posture = [-0.35, 0.10, -0.10, -1.45, 0, -0.45, 0.1]
    /// Metres per radian: how much a rotation error counts.
    static let rotationWeight = 0.15
    static let iterationStep = 0.2
    static let iterations = 8
    static let maximumChange = 0.25
    static let activeSetRounds = 4

    /// Joint angles for a palm at `palm` with horizontal fingers pointing along `yaw`.
    static func solve(
        palm: SIMD3<Double>,
        yaw: Double,
        from start: [Double],
        iterations: Int = iterations,
        maximumChange: Double = maximumChange
    ) -> [Double] {
        var joints = start
        let goal = ArmKinematics.Rotation(
            x: SIMD3(0, 0, 1),
            y: SIMD3(-sin(yaw), cos(yaw), 0),
            z: SIMD3(-cos(yaw), -sin(yaw), 0)
        )
        for _ in 0..<iterations {
            let pose = ArmKinematics.forward(joints)
            let shift = palm - pose.palm
            // Half the sum of the columns' cross products: the small-angle rotation vector towards the goal.
            let turn =
                (pose.rotation.x.cross(goal.x) + pose.rotation.y.cross(goal.y) + pose.rotation.z.cross(goal.z)) * 0.5
            let step = activeSetStep(pose, shift: shift, turn: turn * rotationWeight, joints: joints)
            let largest = step.map(abs).max() ?? 0
            let scale = largest > iterationStep ? iterationStep / largest : 1
            for index in 0..<7 {
                let range = ArmKinematics.ranges[index]
                joints[index] = min(max(joints[index] + step[index] * scale, range.lowerBound), range.upperBound)
            }
            if largest < 1e-6 { break }
        }
        for index in 0..<7 {
            joints[index] = min(max(joints[index], start[index] - maximumChange), start[index] + maximumChange)
        }
        return joints
    }

    private static func activeSetStep(
        _ pose: ArmKinematics.Solution,
        shift: SIMD3<Double>,
        turn: SIMD3<Double>,
        joints: [Double]
    ) -> [Double] {
        var columns: [(SIMD3<Double>, SIMD3<Double>)] = []
        columns.reserveCapacity(7)
        for index in 0..<7 {
            let axis = pose.axes[index]
            columns.append((axis.cross(pose.palm - pose.origins[index]), axis * rotationWeight))
        }
        var frozen = [Bool](repeating: false, count: 7)
        var step = [Double](repeating: 0, count: 7)
        for _ in 0...activeSetRounds {
            step = dampedStep(columns, shift: shift, turn: turn, joints: joints, frozen: frozen)
            var changed = false
            for index in 0..<7 where !frozen[index] {
                let range = ArmKinematics.ranges[index]
                let low = joints[index] <= range.lowerBound + 1e-9 && step[index] < 0
                let high = joints[index] >= range.upperBound - 1e-9 && step[index] > 0
                if low || high {
                    frozen[index] = true
                    changed = true
                }
            }
            if !changed { break }
        }
        return step
    }

    /// Solves (JᵀJ + (damping + pull) I) step = Jᵀ error + pull (posture − joints) over the joints that are not frozen.
    private static func dampedStep(
        _ columns: [(SIMD3<Double>, SIMD3<Double>)],
        shift: SIMD3<Double>,
        turn: SIMD3<Double>,
        joints: [Double],
        frozen: [Bool]
    ) -> [Double] {
        var matrix = [Double](repeating: 0, count: 49)
        var right = [Double](repeating: 0, count: 7)
        for row in 0..<7 {
            if frozen[row] {
                matrix[row * 8] = 1
                continue
            }
            for column in 0..<7 where !frozen[column] {
                matrix[row * 7 + column] =
                    (columns[row].0 * columns[column].0).sum() + (columns[row].1 * columns[column].1).sum()
            }
            matrix[row * 8] += damping + posturePull
            right[row] =
                (columns[row].0 * shift).sum() + (columns[row].1 * turn).sum()
                + posturePull * (posture[row] - joints[row])
        }
        return cholesky(&matrix, right)
    }

    /// Solves a symmetric positive definite 7 × 7 system.
    private static func cholesky(_ matrix: inout [Double], _ right: [Double]) -> [Double] {
        var result = right
        for row in 0..<7 {
            for column in 0...row {
                var sum = matrix[row * 7 + column]
                for inner in 0..<column { sum -= matrix[row * 7 + inner] * matrix[column * 7 + inner] }
                matrix[row * 7 + column] = row == column ? max(sum, 1e-18).squareRoot() : sum / matrix[column * 8]
            }
        }
        for row in 0..<7 {
            for inner in 0..<row { result[row] -= matrix[row * 7 + inner] * result[inner] }
            result[row] /= matrix[row * 8]
        }
        for row in stride(from: 6, through: 0, by: -1) {
            for inner in (row + 1)..<7 { result[row] -= matrix[inner * 7 + row] * result[inner] }
            result[row] /= matrix[row * 8]
        }
        return result
    }
}
