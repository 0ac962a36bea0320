/// `kuavo_msgs/sensorsData`, 500 Hz on `/sensors_data_raw`.
package struct SensorsData: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/sensorsData"
    package static let definition = MessageDefinition.compose(
        """
        std_msgs/Header header
        time sensor_time
        jointData joint_data
        imuData imu_data
        endEffectorData end_effector_data
        """,
        embedding: [ROSHeader.self, JointData.self, IMUData.self, EndEffectorData.self]
    )
    package static let md5 = computedMD5()
    /// Robots from before 2025-08 call the fourth joint array `joint_current`; the bytes are the same.
    package static let variantMD5s = ["54439d3ac2ef33d46fd7cf6d324860c3"]

    package var header: ROSHeader
    package var sensorTime: ROSTime
    package var joints: JointData
    package var imu: IMUData
    package var endEffector: EndEffectorData

    package init(
        header: ROSHeader = ROSHeader(),
        sensorTime: ROSTime = ROSTime(),
        joints: JointData = JointData(),
        imu: IMUData = IMUData(),
        endEffector: EndEffectorData = EndEffectorData()
    ) {
        self.header = header
        self.sensorTime = sensorTime
        self.joints = joints
        self.imu = imu
        self.endEffector = endEffector
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        sensorTime = try reader.time()
        joints = try JointData(from: &reader)
        imu = try IMUData(from: &reader)
        endEffector = try EndEffectorData(from: &reader)
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        writer.time(sensorTime)
        joints.encode(to: &writer)
        imu.encode(to: &writer)
        endEffector.encode(to: &writer)
    }
}

/// `kuavo_msgs/jointData`: one entry per joint in each array.
package struct JointData: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/jointData"
    package static let definition = """
        float64[] joint_q
        float64[] joint_v
        float64[] joint_vd
        float64[] joint_torque
        """
    package static let md5 = computedMD5()
    package static let variantMD5s = ["ddaca6585c203ca18b9c3978db506bed"]

    /// rad.
    package var q: [Double]
    /// rad/s.
    package var v: [Double]
    /// rad/s^2.
    package var vd: [Double]
    /// Nm, or A on robots from before 2025-08.
    package var torque: [Double]

    package init(q: [Double] = [], v: [Double] = [], vd: [Double] = [], torque: [Double] = []) {
        self.q = q
        self.v = v
        self.vd = vd
        self.torque = torque
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        q = try reader.float64s()
        v = try reader.float64s()
        vd = try reader.float64s()
        torque = try reader.float64s()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float64s(q)
        writer.float64s(v)
        writer.float64s(vd)
        writer.float64s(torque)
    }
}

/// `kuavo_msgs/imuData`.
package struct IMUData: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/imuData"
    package static let definition = MessageDefinition.compose(
        """
        geometry_msgs/Vector3 gyro
        geometry_msgs/Vector3 acc
        geometry_msgs/Vector3 free_acc
        geometry_msgs/Quaternion quat
        """,
        embedding: [Vector3.self, Quaternion.self]
    )
    package static let md5 = computedMD5()

    /// rad/s.
    package var gyro: Vector3
    /// m/s^2.
    package var acc: Vector3
    /// m/s^2 without gravity.
    package var freeAcc: Vector3
    package var quat: Quaternion

    package init(
        gyro: Vector3 = Vector3(),
        acc: Vector3 = Vector3(),
        freeAcc: Vector3 = Vector3(),
        quat: Quaternion = Quaternion()
    ) {
        self.gyro = gyro
        self.acc = acc
        self.freeAcc = freeAcc
        self.quat = quat
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        gyro = try Vector3(from: &reader)
        acc = try Vector3(from: &reader)
        freeAcc = try Vector3(from: &reader)
        quat = try Quaternion(from: &reader)
    }

    package func encode(to writer: inout ROSWriter) {
        gyro.encode(to: &writer)
        acc.encode(to: &writer)
        freeAcc.encode(to: &writer)
        quat.encode(to: &writer)
    }
}

/// `kuavo_msgs/endEffectorData`: claws left then right; position 0 (open) to 100 (closed), effort in A.
package struct EndEffectorData: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/endEffectorData"
    package static let definition = """
        string[] name
        float64[] position
        float64[] velocity
        float64[] effort
        """
    package static let md5 = computedMD5()

    package var name: [String]
    package var position: [Double]
    package var velocity: [Double]
    package var effort: [Double]

    package init(name: [String] = [], position: [Double] = [], velocity: [Double] = [], effort: [Double] = []) {
        self.name = name
        self.position = position
        self.velocity = velocity
        self.effort = effort
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        name = try reader.strings()
        position = try reader.float64s()
        velocity = try reader.float64s()
        effort = try reader.float64s()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.strings(name)
        writer.float64s(position)
        writer.float64s(velocity)
        writer.float64s(effort)
    }
}
