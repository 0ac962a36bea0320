import Foundation

/// Where the hand of one arm is, and which joints bring it there. Pure.
///
/// The hand is the frame of the last joint, in the torso's frame: metres, x forward, y left, z up.
package struct ArmKinematics: Sendable {
    /// The arm from the torso to the hand. A joint turns about an axis of its own frame.
    package struct Chain: Sendable, Codable, Equatable {
        package enum Axis: String, Sendable, Codable {
            case x, y, z

            var vector: SIMD3<Double> {
                switch self {
                case .x: [1, 0, 0]
                case .y: [0, 1, 0]
                case .z: [0, 0, 1]
                }
            }
        }

        /// Each joint in the frame of the one before it, metres.
        package var originsM: [[Double]]
        package var axes: [Axis]

        var joints: Int { axes.count }
        var isComplete: Bool { originsM.count == joints && originsM.allSatisfy { $0.count == 3 } }
    }

    /// A rotation matrix by columns.
    package struct Rotation: Sendable, Equatable {
        package var x: SIMD3<Double> = [1, 0, 0]
        package var y: SIMD3<Double> = [0, 1, 0]
        package var z: SIMD3<Double> = [0, 0, 1]

        package init() {}

        /// From its first two columns, which a policy never gets exactly orthonormal; nil when they are parallel.
        package init?(first: SIMD3<Double>, second: SIMD3<Double>) {
            let length = Self.dot(first, first).squareRoot()
            guard length > 1e-6 else { return nil }
            x = first / length
            let across = second - x * Self.dot(x, second)
            let width = Self.dot(across, across).squareRoot()
            guard width > 1e-6 else { return nil }
            y = across / width
            z = Self.cross(x, y)
        }

        static func * (_ rotation: Rotation, _ vector: SIMD3<Double>) -> SIMD3<Double> {
            rotation.x * vector.x + rotation.y * vector.y + rotation.z * vector.z
        }

        /// This rotation, then one about an axis of its own.
        func turned(_ angle: Double, about axis: Chain.Axis) -> Rotation {
            let (s, c) = (sin(angle), cos(angle))
            var result = self
            switch axis {
            case .x: (result.y, result.z) = (y * c + z * s, z * c - y * s)
            case .y: (result.z, result.x) = (z * c + x * s, x * c - z * s)
            case .z: (result.x, result.y) = (x * c + y * s, y * c - x * s)
            }
            return result
        }

        static func dot(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double { (a * b).sum() }

        static func cross(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> SIMD3<Double> {
            [a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x]
        }
    }

    package struct Pose: Sendable, Equatable {
        package var position: SIMD3<Double> = .zero
        package var rotation = Rotation()

        package init() {}

        /// Position, then the first two columns of the rotation: what policies in hand space read and say.
        package init?(_ values: [Float]) {
            guard values.count == 9, values.allSatisfy(\.isFinite) else { return nil }
            func vector(_ start: Int) -> SIMD3<Double> {
                [Double(values[start]), Double(values[start + 1]), Double(values[start + 2])]
            }
            guard let rotation = Rotation(first: vector(3), second: vector(6)) else { return nil }
            position = vector(0)
            self.rotation = rotation
        }

        package var values: [Float] {
            [position, rotation.x, rotation.y].flatMap { [Float($0.x), Float($0.y), Float($0.z)] }
        }
    }

    /// Joints that bring the hand to a pose, or how far from it they end.
    package enum Solution: Sendable, Equatable {
        case joints([Float])
        case outOfReach(metres: Double, radians: Double)
    }

    /// The hand counts as there.
    package static let tolerance = (metres: 0.0005, radians: 0.002)
    package static let iterations = 200
    /// Damping of the least squares: singular arms slow down instead of whirling.
    private static let damping = 1e-3
    /// Largest step of one joint in one iteration, rad.
    private static let largestStep = 0.2

    private let chain: Chain
    private let limits: [ClosedRange<Double>]

    /// - Parameter limits: of the joints, rad.
    package init(_ chain: Chain, limits: [ClosedRange<Double>]) {
        precondition(chain.isComplete && limits.count == chain.joints, "each joint has a limit")
        self.chain = chain
        self.limits = limits
    }

    package func pose(of joints: [Float]) -> Pose { frames(joints.map(Double.init)).hand }

    /// Joints near `seed` whose hand is at `target`.
    package func joints(for target: Pose, from seed: [Float]) -> Solution {
        var angles = zip(seed, limits).map { min(max(Double($0), $1.lowerBound), $1.upperBound) }
        var away = error(frames(angles).hand, target)
        for _ in 0..<Self.iterations {
            if away.metres <= Self.tolerance.metres, away.radians <= Self.tolerance.radians {
                return .joints(angles.map { Float($0) })
            }
            let step = leastSquares(frames(angles), away.vector, angles)
            let scale = min(1, Self.largestStep / max(step.map(abs).max() ?? 0, 1e-12))
            for joint in angles.indices {
                angles[joint] = min(
                    max(angles[joint] + step[joint] * scale, limits[joint].lowerBound),
                    limits[joint].upperBound
                )
            }
            away = error(frames(angles).hand, target)
        }
        return .outOfReach(metres: away.metres, radians: away.radians)
    }

    // MARK: The way there

    private typealias Frames = (origins: [SIMD3<Double>], axes: [SIMD3<Double>], hand: Pose)

    private func frames(_ angles: [Double]) -> Frames {
        var hand = Pose()
        var origins: [SIMD3<Double>] = []
        var axes: [SIMD3<Double>] = []
        for (joint, origin) in chain.originsM.enumerated() {
            hand.position += hand.rotation * [origin[0], origin[1], origin[2]]
            origins.append(hand.position)
            axes.append(hand.rotation * chain.axes[joint].vector)
            hand.rotation = hand.rotation.turned(angles[joint], about: chain.axes[joint])
        }
        return (origins, axes, hand)
    }

    private func error(_ hand: Pose, _ target: Pose) -> (vector: [Double], metres: Double, radians: Double) {
        let shift = target.position - hand.position
        let (a, b) = (hand.rotation, target.rotation)
        let turn = (Rotation.cross(a.x, b.x) + Rotation.cross(a.y, b.y) + Rotation.cross(a.z, b.z)) / 2
        let trace = Rotation.dot(a.x, b.x) + Rotation.dot(a.y, b.y) + Rotation.dot(a.z, b.z)
        let angle = acos(min(max((trace - 1) / 2, -1), 1))
        return (
            [shift.x, shift.y, shift.z, turn.x, turn.y, turn.z], Rotation.dot(shift, shift).squareRoot(), angle
        )
    }

    /// One step of damped least squares; joints that would leave their limits take no part.
    private func leastSquares(_ frames: Frames, _ error: [Double], _ angles: [Double]) -> [Double] {
        var isFree = [Bool](repeating: true, count: chain.joints)
        var step = [Double](repeating: 0, count: chain.joints)
        // Each round may free the step of one more joint.
        for _ in 0..<chain.joints {
            let columns = (0..<chain.joints).map { joint -> [Double] in
                guard isFree[joint] else { return [Double](repeating: 0, count: 6) }
                let axis = frames.axes[joint]
                let lever = Rotation.cross(axis, frames.hand.position - frames.origins[joint])
                return [lever.x, lever.y, lever.z, axis.x, axis.y, axis.z]
            }
            var matrix = (0..<6).map { row in
                (0..<6).map { column in
                    columns.reduce(row == column ? Self.damping : 0) { $0 + $1[row] * $1[column] }
                }
            }
            let weights = Self.solve(&matrix, error)
            step = columns.map { column in (0..<6).reduce(0) { $0 + column[$1] * weights[$1] } }
            let stuck = (0..<chain.joints).filter { joint in
                isFree[joint]
                    && (step[joint] < 0 && angles[joint] <= limits[joint].lowerBound
                        || step[joint] > 0 && angles[joint] >= limits[joint].upperBound)
            }
            if stuck.isEmpty { break }
            for joint in stuck { isFree[joint] = false }
        }
        return step
    }

    /// Gaussian elimination; the damping keeps the matrix positive definite, so no pivot is needed.
    private static func solve(_ matrix: inout [[Double]], _ right: [Double]) -> [Double] {
        var result = right
        for pivot in 0..<6 {
            for row in pivot + 1..<6 {
                let factor = matrix[row][pivot] / matrix[pivot][pivot]
                for column in pivot..<6 { matrix[row][column] -= factor * matrix[pivot][column] }
                result[row] -= factor * result[pivot]
            }
        }
        for row in (0..<6).reversed() {
            for column in row + 1..<6 { result[row] -= matrix[row][column] * result[column] }
            result[row] /= matrix[row][row]
        }
        return result
    }
}
