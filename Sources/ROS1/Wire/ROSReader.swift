package import NIOCore

/// Reads the fields of one message from a frame; every length is checked against the bytes that are there.
///
/// A value type owned by whoever decodes. Bytes left over after the last field are allowed, because
/// newer robots append fields.
package struct ROSReader: Sendable {
    /// Longest `string` that is accepted, in bytes.
    package static let maximumStringBytes = 1 << 20

    private var buffer: ByteBuffer

    package init(_ buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// Bytes not read yet.
    package var remaining: Int { buffer.readableBytes }

    package mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) throws(ROSError) -> I {
        guard let value = buffer.readInteger(endianness: .little, as: I.self) else {
            throw truncated(needing: MemoryLayout<I>.size)
        }
        return value
    }

    package mutating func bool() throws(ROSError) -> Bool {
        try integer(UInt8.self) != 0
    }

    package mutating func float32() throws(ROSError) -> Float {
        Float(bitPattern: try integer(UInt32.self))
    }

    package mutating func float64() throws(ROSError) -> Double {
        Double(bitPattern: try integer(UInt64.self))
    }

    package mutating func time() throws(ROSError) -> ROSTime {
        ROSTime(sec: try integer(), nsec: try integer())
    }

    /// UTF-8; ill-formed sequences are repaired, since ROS itself checks nothing.
    package mutating func string() throws(ROSError) -> String {
        let count = try count(elementSize: 1)
        guard count <= Self.maximumStringBytes else {
            throw ROSError(.tooLarge, "a string of \(count) bytes exceeds the limit of \(Self.maximumStringBytes)")
        }
        guard let text = buffer.readString(length: count) else { throw truncated(needing: count) }
        return text
    }

    package mutating func bytes() throws(ROSError) -> [UInt8] {
        let count = try count(elementSize: 1)
        guard let bytes = buffer.readBytes(length: count) else { throw truncated(needing: count) }
        return bytes
    }

    package mutating func integers<I: FixedWidthInteger>(_ type: I.Type = I.self) throws(ROSError) -> [I] {
        let count = try count(elementSize: MemoryLayout<I>.size)
        var values: [I] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try integer()) }
        return values
    }

    package mutating func float32s() throws(ROSError) -> [Float] {
        let count = try count(elementSize: 4)
        var values: [Float] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try float32()) }
        return values
    }

    package mutating func float64s() throws(ROSError) -> [Double] {
        let count = try count(elementSize: 8)
        var values: [Double] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try float64()) }
        return values
    }

    package mutating func strings() throws(ROSError) -> [String] {
        let count = try count(elementSize: 4)
        var values: [String] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try string()) }
        return values
    }

    /// An array of messages, each of which takes at least `minimumSize` bytes.
    package mutating func messages<M: ROSMessage>(_ type: M.Type, minimumSize: Int) throws(ROSError) -> [M] {
        let count = try count(elementSize: max(1, minimumSize))
        var values: [M] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try M(from: &self)) }
        return values
    }

    /// Reads an array's element count and refuses one that the remaining bytes cannot hold.
    private mutating func count(elementSize: Int) throws(ROSError) -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= buffer.readableBytes / elementSize else {
            throw ROSError(
                .malformed,
                "a length field says \(count) elements of \(elementSize) bytes, but \(buffer.readableBytes) bytes are left"
            )
        }
        return count
    }

    private func truncated(needing bytes: Int) -> ROSError {
        ROSError(.malformed, "the message ends early: \(bytes) bytes wanted, \(buffer.readableBytes) left")
    }
}
