/// `sensor_msgs/JointState`.
///
/// On `/kuavo_arm_traj` the 14 positions are in **degrees**, left arm first.
package struct JointState: ROSMessage, Hashable {
    package static let rosType = "sensor_msgs/JointState"
    package static let definition = MessageDefinition.compose(
        """
        std_msgs/Header header
        string[] name
        float64[] position
        float64[] velocity
        float64[] effort
        """,
        embedding: [ROSHeader.self]
    )
    package static let md5 = computedMD5()

    package var header: ROSHeader
    package var name: [String]
    package var position: [Double]
    package var velocity: [Double]
    package var effort: [Double]

    package init(
        header: ROSHeader = ROSHeader(),
        name: [String] = [],
        position: [Double] = [],
        velocity: [Double] = [],
        effort: [Double] = []
    ) {
        self.header = header
        self.name = name
        self.position = position
        self.velocity = velocity
        self.effort = effort
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        name = try reader.strings()
        position = try reader.float64s()
        velocity = try reader.float64s()
        effort = try reader.float64s()
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        writer.strings(name)
        writer.float64s(position)
        writer.float64s(velocity)
        writer.float64s(effort)
    }
}
