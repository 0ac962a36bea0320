/// `std_msgs/MultiArrayDimension`.
package struct MultiArrayDimension: ROSMessage, Hashable {
    package static let rosType = "std_msgs/MultiArrayDimension"
    package static let definition = """
        string label
        uint32 size
        uint32 stride
        """
    package static let md5 = computedMD5()

    package var label: String
    package var size: UInt32
    package var stride: UInt32

    package init(label: String = "", size: UInt32 = 0, stride: UInt32 = 0) {
        self.label = label
        self.size = size
        self.stride = stride
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        label = try reader.string()
        size = try reader.integer()
        stride = try reader.integer()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.string(label)
        writer.integer(size)
        writer.integer(stride)
    }
}

/// `std_msgs/MultiArrayLayout`.
package struct MultiArrayLayout: ROSMessage, Hashable {
    package static let rosType = "std_msgs/MultiArrayLayout"
    package static let definition = MessageDefinition.compose(
        """
        MultiArrayDimension[] dim
        uint32 data_offset
        """,
        embedding: [MultiArrayDimension.self]
    )
    package static let md5 = computedMD5()

    package var dimensions: [MultiArrayDimension]
    package var dataOffset: UInt32

    package init(dimensions: [MultiArrayDimension] = [], dataOffset: UInt32 = 0) {
        self.dimensions = dimensions
        self.dataOffset = dataOffset
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        dimensions = try reader.messages(MultiArrayDimension.self, minimumSize: 12)
        dataOffset = try reader.integer()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.messages(dimensions)
        writer.integer(dataOffset)
    }
}

/// `std_msgs/Float64MultiArray`.
package struct Float64MultiArray: ROSMessage, Hashable {
    package static let rosType = "std_msgs/Float64MultiArray"
    package static let definition = MessageDefinition.compose(
        """
        MultiArrayLayout layout
        float64[] data
        """,
        embedding: [MultiArrayLayout.self]
    )
    package static let md5 = computedMD5()

    package var layout: MultiArrayLayout
    package var data: [Double]

    package init(layout: MultiArrayLayout = MultiArrayLayout(), data: [Double] = []) {
        self.layout = layout
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        layout = try MultiArrayLayout(from: &reader)
        data = try reader.float64s()
    }

    package func encode(to writer: inout ROSWriter) {
        layout.encode(to: &writer)
        writer.float64s(data)
    }
}
