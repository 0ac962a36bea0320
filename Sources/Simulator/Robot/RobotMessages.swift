import Foundation
import ROS1

/// Names and layouts that the real 5-W uses.
///
/// Pure.
enum RobotMessages {
    static let sensorsTopic = "/sensors_data_raw"
    static let clawStateTopic = "/leju_claw_state"
    static let armTopic = "/kuavo_arm_traj"
    static let clawTopic = "/leju_claw_command"
    static let headTopic = "/robot_head_motion_data"
    static let armModeService = "/wheel_arm_change_arm_ctrl_mode"
    static let quickModeService = "/enable_lb_arm_quick_mode"
    static let clawService = "/control_robot_leju_claw"
    static let resetService = "/groot_sim/reset"
    static let outcomeTopic = "/groot_sim/outcome"
    static let statusTopic = "/groot_sim/status"
    /// Camera names, as in the scene, and where their images go. `side` is a spectator that no real robot has.
    static let cameraTopics = [
        "head": "/camera/color/image_raw",
        "chest": "/chest_cam/color/image_raw",
        "left": "/left_cam/color/image_raw",
        "right": "/right_cam/color/image_raw",
        "left_wrist": "/left_wrist_cam/color/image_raw",
        "right_wrist": "/right_wrist_cam/color/image_raw",
        "side": "/groot_sim/side_cam/image_raw",
    ]

    /// Joints of the wheeled robot: 0–3 legs and waist, 4–17 arms, 18–19 head.
    static let jointCount = 20
    static let firstArmJoint = 4
    static let gravity = 9.81

    /// - Parameters: arm values hold 14 entries; `head` is yaw and pitch in rad.
    static func sensors(
        sequence: UInt32,
        stamp: ROSTime,
        position: [Double],
        velocity: [Double],
        acceleration: [Double],
        torque: [Double],
        head: [Double]
    ) -> SensorsData {
        // One allocation per array: this runs 500 times a second.
        func whole(_ arms: [Double], _ head: [Double]) -> [Double] {
            var joints = [Double](repeating: 0, count: jointCount)
            for index in 0..<14 { joints[firstArmJoint + index] = arms[index] }
            for index in 0..<2 { joints[18 + index] = head[index] }
            return joints
        }
        return SensorsData(
            header: ROSHeader(seq: sequence, stamp: stamp, frameID: ""),
            sensorTime: stamp,
            joints: JointData(
                q: whole(position, head),
                v: whole(velocity, [0, 0]),
                vd: whole(acceleration, [0, 0]),
                torque: whole(torque, [0, 0])
            ),
            imu: IMUData(
                gyro: Vector3(),
                acc: Vector3(x: 0, y: 0, z: gravity),
                freeAcc: Vector3(),
                quat: Quaternion()
            ),
            endEffector: EndEffectorData()
        )
    }

    /// Claw state message; positions, velocities and forces hold left then right.
    static func claws(
        sequence: UInt32,
        stamp: ROSTime,
        position: [Double],
        velocity: [Double],
        effort: [Double],
        target: [Double]
    ) -> LejuClawState {
        let states = zip(position, target).map { abs($0 - $1) <= 1 ? LejuClawState.reached : LejuClawState.moving }
        return LejuClawState(
            header: ROSHeader(seq: sequence, stamp: stamp, frameID: ""),
            state: Array(states),
            data: EndEffectorData(
                name: ["left_claw", "right_claw"],
                position: position,
                velocity: velocity,
                effort: effort
            )
        )
    }
}

/// What `/groot_sim/outcome` carries.
struct EpisodeReport: Codable, Hashable, Sendable {
    var episode: Int
    var seed: Int64
    var task: String
    /// `running` until decided.
    var outcome: String
    var reason: String
    var timeS: Double
}

/// What `/groot_sim/status` carries.
struct StatusReport: Codable, Hashable, Sendable {
    var realTimeFactor: Double
    var lateTicks: UInt64
    var behindMs: Double
}

extension Encodable {
    /// This value as JSON text.
    var jsonText: String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Reports hold finite numbers and strings only, which always encode.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
