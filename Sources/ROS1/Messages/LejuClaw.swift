/// `kuavo_msgs/lejuClawState`; `state` and `data` hold the left claw first.
///
/// Newer robots append `bool is_high_freq`, which is ignored.
package struct LejuClawState: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/lejuClawState"
    package static let definition = MessageDefinition.compose(
        """
        int8 kError=-1
        int8 kUnknown=0
        int8 kMoving=1
        int8 kReached=2
        int8 kGrabbed=3
        std_msgs/Header header
        int8[] state
        endEffectorData data
        """,
        embedding: [ROSHeader.self, EndEffectorData.self]
    )
    package static let md5 = computedMD5()
    package static let variantMD5s = ["1248da117aa3afe53a9556373bbf4d3d"]

    package var header: ROSHeader
    package var state: [Int8]
    package var data: EndEffectorData

    package static let error: Int8 = -1
    package static let unknown: Int8 = 0
    package static let moving: Int8 = 1
    package static let reached: Int8 = 2
    package static let grabbed: Int8 = 3

    package init(header: ROSHeader = ROSHeader(), state: [Int8] = [], data: EndEffectorData = EndEffectorData()) {
        self.header = header
        self.state = state
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        state = try reader.integers()
        data = try EndEffectorData(from: &reader)
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        writer.integers(state)
        data.encode(to: &writer)
    }
}

/// `kuavo_msgs/lejuClawCommand`; left claw first.
package struct LejuClawCommand: ROSMessage, Hashable {
    package static let rosType = "kuavo_msgs/lejuClawCommand"
    package static let definition = MessageDefinition.compose(
        """
        std_msgs/Header header
        endEffectorData data
        """,
        embedding: [ROSHeader.self, EndEffectorData.self]
    )
    package static let md5 = computedMD5()

    package var header: ROSHeader
    package var data: EndEffectorData

    package init(header: ROSHeader = ROSHeader(), data: EndEffectorData = EndEffectorData()) {
        self.header = header
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        data = try EndEffectorData(from: &reader)
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        data.encode(to: &writer)
    }
}
