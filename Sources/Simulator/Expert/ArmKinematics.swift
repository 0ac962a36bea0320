import Foundation

/// Geometry of the left arm from the world to the palm; the right arm is its mirror image in y.
///
/// Pure functions, any thread. Lengths in m, angles in rad.
enum ArmKinematics {
    /// Rotation as three columns.
    struct Rotation: Sendable {
        var x = SIMD3(1.0, 0, 0)
        var y = SIMD3(0.0, 1, 0)
        var z = SIMD3(0.0, 0, 1)

        func apply(_ vector: SIMD3<Double>) -> SIMD3<Double> { x * vector.x + y * vector.y + z * vector.z }

        /// Turned about one of its own axes (0, 1, 2).
        func turned(axis: Int, angle: Double) -> Rotation {
            let c = cos(angle)
            let s = sin(angle)
            return switch axis {
            case 0: Rotation(x: x, y: y * c + z * s, z: z * c - y * s)
            case 1: Rotation(x: x * c - z * s, y: y, z: z * c + x * s)
            default: Rotation(x: x * c + y * s, y: y * c - x * s, z: z)
            }
        }

        func column(_ index: Int) -> SIMD3<Double> { index == 0 ? x : index == 1 ? y : z }
    }

    struct Solution: Sendable {
        var palm: SIMD3<Double>
        var rotation: Rotation
        /// Per joint: its origin and its axis, in the world.
        var origins: [SIMD3<Double>]
        var axes: [SIMD3<Double>]
    }

    static let baseHeight = 0.82
    static let offsets: [SIMD3<Double>] = [
        SIMD3(-0.0175, 0.2927, 0.4245), .zero, .zero, SIMD3(0.02, 0, -0.2837), SIMD3(-0.02, 0, -0.1270),
        SIMD3(0, 0, -0.1065), SIMD3(0, 0, -0.0210),
    ]
    static let axes = [1, 0, 2, 1, 2, 0, 1]
    static let ranges: [ClosedRange<Double>] = [
        -3.142...1.571, -0.349...2.094, -1.571...1.571, -2.618...0, -1.571...1.571, -1.309...0.698, -0.698...0.698,
    ]
    /// The hand's fixed roll on the wrist.
    static let handRoll = 0.5
    static let palmOffset = SIMD3(0, -0.028, -0.150)
    /// Signs that turn left joint angles into right ones.
    static let mirrorSigns = [1.0, -1, -1, 1, -1, -1, 1]

    static func mirrored(_ joints: [Double]) -> [Double] {
        zip(joints, mirrorSigns).map { $0 * $1 }
    }

    /// Left arm's palm for seven joint angles.
    static func forward(_ joints: [Double]) -> Solution {
        var rotation = Rotation()
        var position = SIMD3(0, 0, baseHeight)
        var origins: [SIMD3<Double>] = []
        var directions: [SIMD3<Double>] = []
        origins.reserveCapacity(7)
        directions.reserveCapacity(7)
        for index in 0..<7 {
            position += rotation.apply(offsets[index])
            origins.append(position)
            directions.append(rotation.column(axes[index]))
            rotation = rotation.turned(axis: axes[index], angle: joints[index])
        }
        rotation = rotation.turned(axis: 0, angle: handRoll)
        return Solution(
            palm: position + rotation.apply(palmOffset),
            rotation: rotation,
            origins: origins,
            axes: directions
        )
    }
}
