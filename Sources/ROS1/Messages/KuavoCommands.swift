/// `kuavo_msgs/robotHeadMotionData`: `[yaw, pitch]` in **degrees**.
package struct RobotHeadMotionData: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/robotHeadMotionData"
    package static let definition = """
        float64[] joint_data
        """
    package static let md5 = computedMD5()

    package var jointData: [Double]

    package init(jointData: [Double] = []) {
        self.jointData = jointData
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        jointData = try reader.float64s()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float64s(jointData)
    }
}

/// `kuavo_msgs/armTargetPoses`: `times` in s, `values` in **degrees**, 14 per time.
package struct ArmTargetPoses: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/armTargetPoses"
    package static let definition = """
        float64[] times
        float64[] values
        """
    package static let md5 = computedMD5()

    package var times: [Double]
    package var values: [Double]

    package init(times: [Double] = [], values: [Double] = []) {
        self.times = times
        self.values = values
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        times = try reader.float64s()
        values = try reader.float64s()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float64s(times)
        writer.float64s(values)
    }
}

/// `kuavo_msgs/jointCmd`: rad, rad/s, Nm per joint.
package struct JointCmd: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/jointCmd"
    package static let definition = MessageDefinition.compose(
        """
        std_msgs/Header header
        float64[] joint_q
        float64[] joint_v
        float64[] tau
        float64[] tau_max
        float64[] tau_ratio
        float64[] joint_kp
        float64[] joint_kd
        int32[] control_modes
        """,
        embedding: [ROSHeader.self]
    )
    package static let md5 = computedMD5()

    package var header: ROSHeader
    package var q: [Double]
    package var v: [Double]
    package var tau: [Double]
    package var tauMax: [Double]
    package var tauRatio: [Double]
    package var kp: [Double]
    package var kd: [Double]
    package var controlModes: [Int32]

    package init(
        header: ROSHeader = ROSHeader(),
        q: [Double] = [],
        v: [Double] = [],
        tau: [Double] = [],
        tauMax: [Double] = [],
        tauRatio: [Double] = [],
        kp: [Double] = [],
        kd: [Double] = [],
        controlModes: [Int32] = []
    ) {
        self.header = header
        self.q = q
        self.v = v
        self.tau = tau
        self.tauMax = tauMax
        self.tauRatio = tauRatio
        self.kp = kp
        self.kd = kd
        self.controlModes = controlModes
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        q = try reader.float64s()
        v = try reader.float64s()
        tau = try reader.float64s()
        tauMax = try reader.float64s()
        tauRatio = try reader.float64s()
        kp = try reader.float64s()
        kd = try reader.float64s()
        controlModes = try reader.integers()
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        writer.float64s(q)
        writer.float64s(v)
        writer.float64s(tau)
        writer.float64s(tauMax)
        writer.float64s(tauRatio)
        writer.float64s(kp)
        writer.float64s(kd)
        writer.integers(controlModes)
    }
}
