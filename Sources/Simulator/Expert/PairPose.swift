/// Both palms as one thing: mid-point, common yaw and half the gap between them.
///
/// Lengths in m, angles in rad.
struct PairPose: Hashable, Sendable {
    var centre: SIMD3<Double>
    var yaw: Double
    var halfGap: Double

    init(centre: SIMD3<Double>, yaw: Double, halfGap: Double) {
        self.centre = centre
        self.yaw = yaw
        self.halfGap = halfGap
    }

    /// The pair pose of 14 joint angles (left, right).
    init(joints: [Double]) {
        let left = ArmKinematics.forward(Array(joints[0..<7]))
        let right = ArmKinematics.forward(ArmKinematics.mirrored(Array(joints[7..<14])))
        let mirrored = SIMD3(1.0, -1, 1)
        let rightPalm = right.palm * mirrored
        // Fingers point along the hand's −z.
        let fingers = (left.rotation.z + right.rotation.z * mirrored) * -1
        centre = (left.palm + rightPalm) * 0.5
        yaw = arcTangent(fingers.y, fingers.x)
        let across = left.palm - rightPalm
        halfGap = (across.y * cosine(yaw) - across.x * sine(yaw)) / 2
    }

    /// 14 joint angles that bring the palms here, starting from `joints`.
    func joints(from joints: [Double]) -> [Double] {
        let across = SIMD3(0, halfGap, 0).turned(by: yaw)
        let left = InverseKinematics.solve(palm: centre + across, yaw: yaw, from: Array(joints[0..<7]))
        let right = InverseKinematics.solve(
            palm: (centre - across) * SIMD3(1, -1, 1),
            yaw: -yaw,
            from: ArmKinematics.mirrored(Array(joints[7..<14]))
        )
        return left + ArmKinematics.mirrored(right)
    }
}
