import ROS1

let armNames = (1...7).map { "zarm_l\($0)_joint" } + (1...7).map { "zarm_r\($0)_joint" }
let sampleHeader = ROSHeader(seq: 7, stamp: ROSTime(sec: 1_700_000_000, nsec: 250_000_000), frameID: "torso")

let sampleClaws = EndEffectorData(
    name: ["left_claw", "right_claw"],
    position: [12.5, 80],
    velocity: [90, 90],
    effort: [1, 1]
)

func sampleSensors(joints count: Int, frameID: String = "torso") -> SensorsData {
    let ramp = (0..<count).map { Double($0) / 8 }
    var header = sampleHeader
    header.frameID = frameID
    return SensorsData(
        header: header,
        sensorTime: ROSTime(sec: 5, nsec: 6),
        joints: JointData(q: ramp, v: ramp.map { -$0 }, vd: ramp, torque: ramp.map { $0 * 2 }),
        imu: IMUData(gyro: Vector3(x: 1, y: 2, z: 3), acc: Vector3(z: 9.75), quat: Quaternion(w: 1))
    )
}

func sampleImage(width: Int, height: Int) -> ROSImage {
    ROSImage(
        header: sampleHeader,
        height: UInt32(height),
        width: UInt32(width),
        encoding: "rgb8",
        step: UInt32(width * 3),
        data: (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0) }
    )
}

let sampleJointState = JointState(
    header: sampleHeader,
    name: armNames,
    position: (0..<14).map { Double($0) * 1.5 }
)
