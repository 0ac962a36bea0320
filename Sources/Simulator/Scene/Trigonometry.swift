import Foundation

func sine(_ angle: Double) -> Double { sin(angle) }
func cosine(_ angle: Double) -> Double { cos(angle) }
func arcTangent(_ y: Double, _ x: Double) -> Double { atan2(y, x) }

/// The angle between −π and π that points the same way.
func wrapped(_ angle: Double) -> Double { atan2(sin(angle), cos(angle)) }

extension SIMD3<Double> {
    var length: Double { (self * self).sum().squareRoot() }

    /// Turned about the z axis.
    func turned(by yaw: Double) -> SIMD3<Double> {
        SIMD3(x * cos(yaw) - y * sin(yaw), x * sin(yaw) + y * cos(yaw), z)
    }

    func cross(_ other: SIMD3<Double>) -> SIMD3<Double> {
        SIMD3(y * other.z - z * other.y, z * other.x - x * other.z, x * other.y - y * other.x)
    }
}
