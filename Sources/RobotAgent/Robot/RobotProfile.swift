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
    }

    /// The arms, left 1 to 7 then right 1 to 7.
    package struct Arm: Sendable, Codable, Equatable {
        package var commandNames: [String]
        package var minimumRad: [Float]
        package var maximumRad: [Float]
        package var maximumVelocityRadS: [Float]
        package var homeRad: [Float]
        package var homingVelocityRadS: Float
        /// How near every joint must be to count as home.
        package var arrivalToleranceRad: Float
        /// How far the first way point of an episode may be from the measured pose.
        package var firstActionToleranceRad: Float
    }

    /// Left claw, then right.
    package struct Claw: Sendable, Codable, Equatable {
        package var commandNames: [String]
        package var open: Float
        package var closed: Float
        package var velocity: Double
        package var effortA: Double
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
    }

    /// One service call of the way into or out of external control, in order.
    package struct ModeCall: Sendable, Codable, Equatable {
        package enum Kind: String, Sendable, Codable {
            /// `kuavo_msgs/changeArmCtrlMode`
            case armMode = "arm_mode"
            /// `std_srvs/SetBool`
            case setBool = "set_bool"
        }

        package var service: String
        package var kind: Kind
        package var value: Int32
    }

    package struct Limits: Sendable, Codable, Equatable {
        package var staleJointStateMs: Double
        package var staleCameraMs: Double
        /// Images further apart than this never form one observation.
        package var maximumSkewMs: Double
        package var holdMs: Double
        package var stopMs: Double
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
    package var stateNames: [String]
    package var actionNames: [String]
    package var arm: Arm
    package var claw: Claw
    package var cameras: [Camera]
    package var prepare: [ModeCall]
    package var handBack: [ModeCall]
    package var limits: Limits
    package var simulator: SimulatorExtras?

    package var armJoints: Range<Int> { 0..<jointIndices.count }
    package var claws: Range<Int> { jointIndices.count..<jointIndices.count + claw.stateIndices.count }
    package var dimensions: Int { actionNames.count }

    /// What does not fit together; empty for a usable profile.
    package var problems: [String] {
        var problems: [String] = []
        let joints = jointIndices.count
        if controlRateHz != 100 { problems.append("control_rate_hz must be 100") }
        if joints == 0 || claw.stateIndices.count != 2 {
            problems.append("joint_indices or claw.state_indices is incomplete")
        }
        let lists: [(String, Int)] = [
            ("arm.command_names", arm.commandNames.count), ("arm.minimum_rad", arm.minimumRad.count),
            ("arm.maximum_rad", arm.maximumRad.count), ("arm.home_rad", arm.homeRad.count),
            ("arm.maximum_velocity_rad_s", arm.maximumVelocityRadS.count),
        ]
        for (name, count) in lists where count != joints {
            problems.append("\(name) has \(count) entries, joint_indices has \(joints)")
        }
        for (name, names) in [("state_names", stateNames), ("action_names", actionNames)]
        where names.count != joints + claw.stateIndices.count {
            problems.append("\(name) has \(names.count) entries, the robot has \(joints + claw.stateIndices.count)")
        }
        if problems.isEmpty {
            for joint in 0..<joints {
                let range = (arm.minimumRad[joint], arm.maximumRad[joint])
                if !(range.0 < range.1) { problems.append("\(arm.commandNames[joint]): minimum is not below maximum") }
                if !(range.0...max(range.0, range.1) ~= arm.homeRad[joint]) {
                    problems.append("\(arm.commandNames[joint]): home is outside the limits")
                }
                if !(arm.maximumVelocityRadS[joint] > 0) {
                    problems.append("\(arm.commandNames[joint]): maximum velocity must be positive")
                }
            }
        }
        if !(arm.homingVelocityRadS > 0) { problems.append("arm.homing_velocity_rad_s must be positive") }
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
