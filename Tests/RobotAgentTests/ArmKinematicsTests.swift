import Foundation
import GrootAPI
import GrootCore
import Testing

@testable import RobotAgent

struct ArmKinematicsTests {
    private func arms() throws -> (left: ArmKinematics, right: ArmKinematics) {
        try #require(try ProfileCatalog.load("5_wheel").kinematics)
    }

    /// Poses that the robot's own software gave for joint angles it logged, in metres; it reports x half a millimetre
    /// further ahead.
    private static let logged: [(isLeft: Bool, joints: [Float], position: SIMD3<Double>, xyzDegrees: SIMD3<Double>)] = [
        (
            true, [-0.96855856, 0.28590816, -0.74804348, -1.23248195, 0.69185704, 0.44674919, 0.93056608],
            [0.4364, 0.2075, 0.1074], [-11.90, -53.13, -11.72]
        ),
        (
            false, [-0.14563303, -0.79732694, 0.26112682, -2.39450173, -1.30474801, -0.42999996, 0.98092162],
            [0.2031, -0.3024, 0.1032], [52.54, -32.30, 34.80]
        ),
        (
            true, [-0.88872868, 0.23485363, -0.72188738, -0.99418129, 0.62741801, 0.38769188, 0.69416431],
            [0.4472, 0.2221, 0.0310], [-2.00, -55.11, -3.57]
        ),
        (
            false, [-0.80213791, 0.02403291, 0.68666377, -1.03692787, -0.35432804, -0.6764676, 0.76242292],
            [0.4153, -0.1131, 0.0233], [-7.31, -55.90, -8.81]
        ),
    ]

    @Test func agreesWithTheRobotsOwnPoses() throws {
        let arms = try arms()
        for (isLeft, joints, position, degrees) in Self.logged {
            let pose = (isLeft ? arms.left : arms.right).pose(of: joints)
            let away = pose.position - position
            #expect(abs(away.x) < 0.0012 && abs(away.y) < 0.001 && abs(away.z) < 0.001, "\(away)")
            // Intrinsic XYZ: R = Rx Ry Rz.
            let pitch = asin(pose.rotation.z.x)
            let roll = atan2(-pose.rotation.z.y, pose.rotation.z.z)
            let yaw = atan2(-pose.rotation.y.x, pose.rotation.x.x)
            let found = SIMD3(roll, pitch, yaw) * 180 / .pi
            #expect(abs(found.x - degrees.x) < 0.02 && abs(found.y - degrees.y) < 0.02, "\(found)")
            #expect(abs(found.z - degrees.z) < 0.02, "\(found)")
        }
        let hanging = arms.left.pose(of: Array(repeating: 0, count: 7))
        #expect(abs(hanging.position.x + 0.0173) < 1e-6 && abs(hanging.position.z + 0.3462) < 1e-6)
        #expect(hanging.rotation == ArmKinematics.Rotation())
    }

    /// A hand led along a path through random reachable postures: there within tolerance, within the limits, no leap.
    @Test(arguments: UInt64(1)...40)
    func theJointsBringTheHandThere(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let profile = try ProfileCatalog.load("5_wheel")
        let arm = try arms().left
        func randomPosture() -> [Float] {
            (0..<7).map { joint in
                let (low, high) = (profile.arm.minimumRad[joint], profile.arm.maximumRad[joint])
                let middle = (max(low, -1.6) + min(high, 1.2)) / 2
                let reach = (min(high, 1.2) - max(low, -1.6)) * 0.3
                return Float.random(in: middle - reach...middle + reach, using: &random)
            }
        }
        let start = randomPosture()
        let end = zip(start, randomPosture()).map { $0 + ($1 - $0) * 0.5 }
        var joints = start
        for step in 1...16 {
            let share = Float(step) / 16
            let wanted = arm.pose(of: zip(start, end).map { $0 + ($1 - $0) * share })
            guard case .joints(let found) = arm.joints(for: wanted, from: joints) else {
                Issue.record("seed \(seed), step \(step): \(arm.joints(for: wanted, from: joints))")
                return
            }
            let there = arm.pose(of: found).position - wanted.position
            #expect((there * there).sum().squareRoot() < 0.001)
            for joint in 0..<7 {
                #expect(found[joint] >= profile.arm.minimumRad[joint] - 1e-6)
                #expect(found[joint] <= profile.arm.maximumRad[joint] + 1e-6)
                #expect(abs(found[joint] - joints[joint]) < 0.6, "seed \(seed), step \(step), joint \(joint + 1)")
            }
            joints = found
        }
    }

    @Test func whatIsOutOfReachIsSaid() throws {
        var pose = ArmKinematics.Pose()
        pose.position = [2, 0, 0]
        guard
            case .outOfReach(let metres, _) = try arms().left.joints(for: pose, from: Array(repeating: -0.3, count: 7))
        else {
            Issue.record("two metres are not within reach")
            return
        }
        #expect(metres > 1)
        #expect(ArmKinematics.Pose([0, 0, 0, 1, 0, 0, 2, 0, 0]) == nil, "parallel columns are no rotation")
        #expect(ArmKinematics.Pose([0, 0, 0, 0, 0, 0, 0, 1, 0]) == nil)
        #expect(ArmKinematics.Pose([.nan, 0, 0, 1, 0, 0, 0, 1, 0]) == nil)
    }

    private func policy(state: [String], action: [String]) -> PolicyDescription {
        PolicyDescription(
            checkpoint: "hands",
            policyType: "t",
            sha256: "",
            runtime: "r",
            images: [],
            stateNames: state,
            actionNames: action,
            chunkSize: 16,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 96
        )
    }

    /// The 20 values of hand space, there and back: what the policy would say of the pose it sees moves nothing.
    @Test func handSpaceIsMappedBothWays() throws {
        let profile = try ProfileCatalog.load("5_wheel")
        let state: [StateComponent] = [.leftPose, .rightPose, .claws]
        let action: [ActionComponent] = [.leftPose, .rightPose, .leftClaw, .rightClaw]
        let policy = policy(
            state: state.flatMap { $0.names(of: profile) },
            action: action.flatMap { $0.names(of: profile) }
        )
        #expect(policy.stateNames.count == 20 && policy.actionNames.count == 20)
        #expect(PolicyMatch.problems(policy: policy, profile: profile, task: "t") == [])
        #expect(profile.controlNames(for: policy.actionNames).count == 16)
        var observation = ObservationBuffers.Aligned(
            frames: [:],
            state: profile.arm.homeRad + [10, 20],
            capturedAt: MonotonicInstant(nanoseconds: 0),
            skew: .zero
        )
        var encoder = ObservationEncoder.Configuration(robot: "r1", task: "t", rows: 16, seed: 1)
        encoder.zeroesState = false
        let request = try ObservationEncoder(configuration: encoder, policy: policy, profile: profile)
            .request(observation, index: 1, capturedTick: 1)
        let expected = try arms().left.pose(of: Array(profile.arm.homeRad.prefix(7))).values
        #expect(Array(request.stateValues.prefix(9)) == expected)
        #expect(request.stateValues.suffix(2) == [10, 20])

        var answer = Groot_V1_InferResponse()
        answer.requestID = request.requestID
        answer.checkpoint = policy.checkpoint
        answer.actionPeriodNs = 100_000_000
        answer.actionNames = policy.actionNames
        answer.rows = 2
        answer.values = request.stateValues + request.stateValues
        // The left hand goes 5 cm up in the second row.
        answer.values[20 + 2] += 0.05
        let hands = try #require(HandPoses(policy: policy, profile: profile))
        let names = profile.controlNames(for: policy.actionNames)
        let chunk = try InferenceAnswer.chunk(
            hands.joints(answer, from: observation.state),
            of: policy,
            requestID: request.requestID,
            order: names
        )
        for joint in 0..<14 { #expect(abs(chunk[0, joint] - profile.arm.homeRad[joint]) < 0.002, "joint \(joint)") }
        #expect(chunk[1, 14] == 10 && chunk[1, 15] == 20)
        let moved = try arms().left.pose(of: (0..<7).map { chunk[1, $0] }).position.z
        #expect(abs(moved - Double(expected[2]) - 0.05) < 0.001)
        for joint in 7..<14 { #expect(abs(chunk[1, joint] - chunk[0, joint]) < 0.002, "the other arm stays") }

        answer.values[20 + 2] += 3
        #expect(throws: (any Error).self) { try hands.joints(answer, from: observation.state) }
        observation.state = []
        #expect(throws: (any Error).self) { try hands.joints(answer, from: observation.state) }
        let both = self.policy(state: [], action: policy.actionNames + ActionComponent.leftArm.names(of: profile))
        #expect(
            PolicyMatch.problems(policy: both, profile: profile, task: "t")
                .contains { $0.contains("only one can be followed") }
        )
    }
}
