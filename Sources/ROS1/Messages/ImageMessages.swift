/// `sensor_msgs/Image`: uncompressed pixels, row after row.
package struct ROSImage: ROSMessage, Hashable {
    package static let rosType = "sensor_msgs/Image"
    package static let definition = MessageDefinition.compose(
        """
        std_msgs/Header header
        uint32 height
        uint32 width
        string encoding
        uint8 is_bigendian
        uint32 step
        uint8[] data
        """,
        embedding: [ROSHeader.self]
    )
    package static let md5 = computedMD5()

    package var header: ROSHeader
    package var height: UInt32
    package var width: UInt32
    /// `rgb8` on the robot's cameras.
    package var encoding: String
    package var isBigEndian: UInt8
    /// Bytes per row.
    package var step: UInt32
    package var data: [UInt8]

    package init(
        header: ROSHeader = ROSHeader(),
        height: UInt32 = 0,
        width: UInt32 = 0,
        encoding: String = "",
        isBigEndian: UInt8 = 0,
        step: UInt32 = 0,
        data: [UInt8] = []
    ) {
        self.header = header
        self.height = height
        self.width = width
        self.encoding = encoding
        self.isBigEndian = isBigEndian
        self.step = step
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        height = try reader.integer()
        width = try reader.integer()
        encoding = try reader.string()
        isBigEndian = try reader.integer()
        step = try reader.integer()
        data = try reader.bytes()
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        writer.integer(height)
        writer.integer(width)
        writer.string(encoding)
        writer.integer(isBigEndian)
        writer.integer(step)
        writer.bytes(data)
    }
}

/// `sensor_msgs/CompressedImage`.
package struct CompressedImage: ROSMessage, Hashable {
    package static let rosType = "sensor_msgs/CompressedImage"
    package static let definition = MessageDefinition.compose(
        """
        std_msgs/Header header
        string format
        uint8[] data
        """,
        embedding: [ROSHeader.self]
    )
    package static let md5 = computedMD5()

    package var header: ROSHeader
    package var format: String
    package var data: [UInt8]

    package init(header: ROSHeader = ROSHeader(), format: String = "", data: [UInt8] = []) {
        self.header = header
        self.format = format
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        header = try ROSHeader(from: &reader)
        format = try reader.string()
        data = try reader.bytes()
    }

    package func encode(to writer: inout ROSWriter) {
        header.encode(to: &writer)
        writer.string(format)
        writer.bytes(data)
    }
}
