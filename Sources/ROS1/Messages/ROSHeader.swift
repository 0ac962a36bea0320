/// `std_msgs/Header`.
package struct ROSHeader: ROSMessage, Hashable {
    package static let rosType = "std_msgs/Header"
    package static let definition = """
        uint32 seq
        time stamp
        string frame_id
        """
    package static let md5 = computedMD5()

    package var seq: UInt32
    package var stamp: ROSTime
    package var frameID: String

    package init(seq: UInt32 = 0, stamp: ROSTime = ROSTime(), frameID: String = "") {
        self.seq = seq
        self.stamp = stamp
        self.frameID = frameID
    }

    package init(from reader: inout ROSReader) throws(ROSError) {
        seq = try reader.integer()
        stamp = try reader.time()
        frameID = try reader.string()
    }

    package func encode(to writer: inout ROSWriter) {
        writer.integer(seq)
        writer.time(stamp)
        writer.string(frameID)
    }
}
