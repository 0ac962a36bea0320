/// `std_msgs/String`.
package struct StdString: ROSMessage, Hashable {
    package static let rosType = "std_msgs/String"
    package static let definition = """
        string data
        """
    package static let md5 = computedMD5()

    package var data: String

    package init(data: String = "") {
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        data = try reader.string()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.string(data)
    }
}

/// `std_msgs/Float32`.
package struct StdFloat32: ROSMessage, Hashable {
    package static let rosType = "std_msgs/Float32"
    package static let definition = """
        float32 data
        """
    package static let md5 = computedMD5()

    package var data: Float

    package init(data: Float = 0) {
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        data = try reader.float32()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.float32(data)
    }
}

/// `std_msgs/Int8`.
package struct StdInt8: ROSMessage, Hashable {
    package static let rosType = "std_msgs/Int8"
    package static let definition = """
        int8 data
        """
    package static let md5 = computedMD5()

    package var data: Int8

    package init(data: Int8 = 0) {
        self.data = data
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        data = try reader.integer()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.integer(data)
    }
}
