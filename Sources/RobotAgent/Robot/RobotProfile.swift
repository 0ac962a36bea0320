package import Foundation
import GrootCore

/// Everything the agent knows about one kind of robot: names, limits, services, cameras. A file, not code.
///
/// JSON keys are snake case. Units stand in the keys.
package struct RobotProfile: Sendable, Codable, Equatable {
    package struct Topics: Sendable, Codable, Equatable {
        package var jointState: String
        package var clawState: String
        package var armCommand: String
        package var clawCommand: String
        /// `std_msgs/Float64MultiArray` of three, rad/s and m/s²; only robots that offer the component `IMU`.
        package var angularVelocity: String?
        package var linearAcceleration: String?
        /// `ocs2_msgs/mpc_observation`; only robots that offer the component `Com_z_pitch`.
        package var bodyState: String?
        /// `geometry_msgs/Twist`; only robots that accept `Cmd_pose_z` and `Cmd_pose_pitch`.
        package var baseCommand: String?
    }

    /// The arms, left joints then right joints.
    package struct Arm: Sendable, Codable, Equatable {
        package var commandNames: [String]
        /// Joints of the left arm, which come first; half of them when the file does not say.
        package var leftJoints: Int?
        package var minimumRad: [Float]
        package var maximumRad: [Float]
        package var maximumVelocityRadS: [Float]
        package var maximumAccelerationRadS2: [Float]
        package var homeRad: [Float]
        /// Poses that the arms pass in this order before the first episode of a run, then home; one value per joint.
        package var wayPointsRad: [[Float]]?
        package var homingVelocityRadS: Float
        /// How near every joint must be to count as home.
        package var arrivalToleranceRad: Float
        /// How far the first way point of an episode may be from the measured pose.
        package var firstActionToleranceRad: Float
        /// How far a joint may be from its command before the arm counts as not following; 0.35 without the key.
        package var followingToleranceRad: Float?
        /// Nm, one entry per joint: a joint that pushes harder is stopped; without the key none is.
        package var maximumTorqueNm: [Float]?
        /// How far beyond its limits a joint may be measured before the measurement is not believed; nil: 0.1.
        package var measuredMarginRad: Float?
        /// How the arms are built, for policies that read or command hand poses.
        package var chains: Chains?
    }

    package struct Chains: Sendable, Codable, Equatable {
        package var left: ArmKinematics.Chain
        package var right: ArmKinematics.Chain
    }

    /// Height (m) and pitch (rad) of the base, on robots that are commanded so.
    package struct Base: Sendable, Codable, Equatable {
        package var minimum: [Float]
        package var maximum: [Float]
        package var maximumVelocity: [Float]
    }

    /// Where the head looks while episodes run, as in training; degrees.
    package struct Head: Sendable, Codable, Equatable {
        /// `kuavo_msgs/robotHeadMotionData`
        package var topic: String
        package var yawDeg: Double
        package var pitchDeg: Double
    }

    /// Left claw, then right.
    package struct Claw: Sendable, Codable, Equatable {
        package var commandNames: [String]
        package var open: Float
        package var closed: Float
        package var velocity: Double
        package var effortA: Double
        /// Claws open on the way home; without the key they keep their grip, whoever's box it is.
        package var opensBetweenEpisodes: Bool?
        /// Positions in `lejuClawState.data.position`; swapped on robots whose claws are wired the other way.
        package var stateIndices: [Int]
    }

    package struct Camera: Sendable, Codable, Equatable {
        /// LeRobot key, what a checkpoint asks for.
        package var key: String
        package var topic: String
        package var periodMs: Double
        /// Turned by `--rotate-head-camera`.
        package var isHead: Bool
        /// The topic carries `sensor_msgs/CompressedImage` with JPEG files instead of raw `rgb8` images.
        package var isCompressed: Bool?
    }

    /// One service call of the way into or out of external control, in order.
    package struct ModeCall: Sendable, Codable, Equatable, CustomStringConvertible {
        package enum Kind: String, Sendable, Codable {
            /// `kuavo_msgs/changeArmCtrlMode`
            case armMode = "arm_mode"
            /// `std_srvs/SetBool`
            case setBool = "set_bool"
            /// `std_srvs/SetBool` or `kuavo_msgs/changeLbQuickModeSrv`, whichever the robot has (it is asked).
            case quickMode = "quick_mode"
        }

        package var service: String
        package var kind: Kind
        package var value: Int32
        /// Names of the same service on other generations, tried in order when `service` is not there.
        package var alternatives: [String]?
        /// The robot may lack the service; the call is then left out with a warning.
        package var isOptional: Bool?

        package var names: [String] { [service] + (alternatives ?? []) }
        package var description: String { "\(names.joined(separator: " or ")) = \(value)" }
    }

    package struct Limits: Sendable, Codable, Equatable {
        package var staleJointStateMs: Double
        /// The same for the claws; nil: as for the joints.
        package var staleClawStateMs: Double?
        package var staleCameraMs: Double
        /// Images further apart than this never form one observation.
        package var maximumSkewMs: Double
        package var holdMs: Double
        /// Hold while the gateway does not answer.
        package var linkHoldMs: Double
        /// Hold while the gateway says that no worker can serve; as long as `linkHoldMs` without the key.
        package var workersHoldMs: Double?
        /// How long a joint must be elsewhere, or push too hard, to count; 400 without the key.
        package var followingErrorMs: Double?
        package var staleActionMs: Double
        package var clockJumpMs: Double
        package var stopMs: Double
        /// How far beyond a position limit a target may lie before the clamp is reported, rad.
        package var positionNoiseRad: Float?

        package static let defaultPositionNoise: Float = 0.05
    }

    package struct SimulatorExtras: Sendable, Codable, Equatable {
        package var resetService: String
        package var outcomeTopic: String
    }

    package var name: String
    package var description: String
    package var controlRateHz: Int
    package var topics: Topics
    /// Arm joints in `sensorsData.joint_data`.
    package var jointIndices: [Int]
    /// Joints in `sensorsData.joint_data`; another number is another robot. Nil: any that holds `jointIndices`.
    package var jointCount: Int?
    /// What the robot can measure; a checkpoint reads all of it or a part.
    package var stateComponents: [StateComponent]
    /// What the robot can be told; a checkpoint must command both arms.
    package var actionComponents: [ActionComponent]
    package var arm: Arm
    package var claw: Claw
    package var base: Base?
    package var head: Head?
    package var cameras: [Camera]
    package var prepare: [ModeCall]
    package var handBack: [ModeCall]
    package var limits: Limits
    package var simulator: SimulatorExtras?

    package var armJoints: Range<Int> { 0..<jointIndices.count }
    package var claws: Range<Int> { jointIndices.count..<jointIndices.count + claw.stateIndices.count }

    /// The rate at which the arms are commanded.
    package var rate: ControlRate { ControlRate(hertz: controlRateHz) }

    /// What does not fit together; empty for a usable profile.
    package var problems: [String] {
        var problems: [String] = []
        let joints = jointIndices.count
        if !ControlRate.range.contains(controlRateHz) {
            problems.append(
                "control_rate_hz is \(controlRateHz), expected \(ControlRate.range.lowerBound) to "
                    + "\(ControlRate.range.upperBound)"
            )
        }
        if joints == 0 { problems.append("joint_indices is empty") }
        let lists: [(String, Int)] = [
            ("arm.command_names", arm.commandNames.count), ("arm.minimum_rad", arm.minimumRad.count),
            ("arm.maximum_rad", arm.maximumRad.count), ("arm.home_rad", arm.homeRad.count),
            ("arm.maximum_velocity_rad_s", arm.maximumVelocityRadS.count),
            ("arm.maximum_acceleration_rad_s2", arm.maximumAccelerationRadS2.count),
        ]
        for (name, count) in lists where count != joints {
            problems.append("\(name) has \(count) entries, joint_indices has \(joints)")
        }
        problems += componentProblems
        if problems.isEmpty {
            for joint in 0..<joints {
                let range = (arm.minimumRad[joint], arm.maximumRad[joint])
                if !(range.0 < range.1) { problems.append("\(arm.commandNames[joint]): minimum is not below maximum") }
                if !(range.0...max(range.0, range.1) ~= arm.homeRad[joint]) {
                    problems.append("\(arm.commandNames[joint]): home is outside the limits")
                }
                if !(arm.maximumVelocityRadS[joint] > 0 && arm.maximumAccelerationRadS2[joint] > 0) {
                    problems.append("\(arm.commandNames[joint]): maximum velocity and acceleration must be positive")
                }
            }
        }
        if let torque = arm.maximumTorqueNm, torque.count != joints || torque.contains(where: { !($0 > 0) }) {
            problems.append("arm.maximum_torque_nm needs \(joints) positive entries, one per joint")
        }
        if let tolerance = arm.followingToleranceRad, !(tolerance > 0) {
            problems.append("arm.following_tolerance_rad must be positive")
        }
        if let margin = arm.measuredMarginRad, !(0...1).contains(margin) {
            problems.append("arm.measured_margin_rad must be 0 to 1")
        }
        if let count = jointCount, let last = jointIndices.max(), last >= count {
            problems.append("joint_indices names joint \(last), joint_count is \(count)")
        }
        problems += arm.wayPointProblems
        if !(arm.homingVelocityRadS > 0) { problems.append("arm.homing_velocity_rad_s must be positive") }
        if let noise = limits.positionNoiseRad, !(0...0.5).contains(noise) {
            problems.append("limits.position_noise_rad must be between 0 and 0.5")
        }
        if let head, !(-80...80).contains(head.yawDeg) || !(-25...25).contains(head.pitchDeg) {
            problems.append("head: yaw_deg must be between -80 and 80, pitch_deg between -25 and 25")
        }
        if Set(cameras.map(\.key)).count != cameras.count { problems.append("a camera key is listed twice") }
        if cameras.isEmpty { problems.append("no camera") }
        return problems
    }

    package init(json: Data, source: String) throws(AgentError) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            self = try decoder.decode(RobotProfile.self, from: json)
        } catch {
            throw AgentError(.badProfile, "profile \(source) is not usable JSON", cause: error)
        }
        let problems = problems
        guard problems.isEmpty else {
            throw AgentError(.badProfile, "profile \(source): \(problems.joined(separator: "; "))")
        }
    }
}
