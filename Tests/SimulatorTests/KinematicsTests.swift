import Testing

@testable import Simulator

@Suite struct KinematicsTests {
    @Test func palmsAgreeWithThePhysics() throws {
        for seed in 0..<5 {
            let scene = SceneVariation(seed: UInt64(seed))
            let world = try PhysicsWorld(scene: scene)
            let left = ArmKinematics.forward(Array(scene.startPosture[0..<7])).palm
            let right = ArmKinematics.forward(ArmKinematics.mirrored(Array(scene.startPosture[7...]))).palm
            #expect((world.palms[0] - left).length < 1e-9)
            #expect((world.palms[1] - right * SIMD3(1, -1, 1)).length < 1e-9)
        }
    }

    /// Wrist pitch frame of the recorded check vectors, moved from the 5-W's shoulder to this cell's.
    @Test(arguments: [
        (
            [-0.96855856, 0.28590816, -0.74804348, -1.23248195, 0.69185704, 0.44674919, 0.93056608],
            SIMD3(0.4364, 0.2075, 0.1074)
        ),
        (
            [-0.88872868, 0.23485363, -0.72188738, -0.99418129, 0.62741801, 0.38769188, 0.69416431],
            SIMD3(0.4472, 0.2221, 0.0310)
        ),
        ([0, 0, 0, 0, 0, 0, 0], SIMD3(-0.0173, 0.2550, -0.3462)),
    ])
    func theArmMatchesTheRealRobotsRecordedPoses(joints: [Double], wrist: SIMD3<Double>) {
        let shoulder = SIMD3(-0.0175, 0.255, 0.192)
        let here = ArmKinematics.offsets[0] + SIMD3(0, 0, ArmKinematics.baseHeight)
        let pose = ArmKinematics.forward(joints)
        #expect(((pose.origins[6] - here) - (wrist - shoulder)).length < 0.001)
    }

    @Test func inverseReachesEveryPoseOfATransfer() {
        var joints = HomePosture.joints
        var worst = 0.0
        for target in [0.15, -0.15] {
            for share in stride(from: 0.0, through: 1, by: 0.05) {
                let goal = PairPose(
                    centre: SIMD3(0.195 + 0.21 * share, target * (0.6 + 0.4 * share), 1.05),
                    yaw: 1.4 * target,
                    halfGap: 0.107
                )
                for _ in 0..<12 { joints = goal.joints(from: joints) }
                let reached = PairPose(joints: joints)
                worst = max(worst, (reached.centre - goal.centre).length, abs(reached.halfGap - goal.halfGap))
            }
        }
        #expect(worst < 0.002)
    }

    @Test func jointsStayInRangeAndStepsStaySmall() {
        let start = Array(HomePosture.joints[0..<7])
        let solved = InverseKinematics.solve(palm: SIMD3(2, 2, 2), yaw: 1, from: start)
        for index in 0..<7 {
            #expect(ArmKinematics.ranges[index].contains(solved[index]))
            #expect(abs(solved[index] - start[index]) <= InverseKinematics.maximumChange + 1e-12)
        }
    }
}
