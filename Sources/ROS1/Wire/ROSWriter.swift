package import NIOCore

/// Appends the fields of one message in wire order, little-endian.
///
/// A value type owned by whoever encodes. Arrays are walked by index: in an unoptimised build an iterator allocates for every
/// element, and commands are encoded on the control thread.
package struct ROSWriter: Sendable {
    package private(set) var buffer: ByteBuffer

    package init(_ buffer: ByteBuffer = ByteBuffer()) {
        self.buffer = buffer
    }

    /// Begins anew with a length and a whole message, in the memory that is there.
    mutating func frame<Message: ROSMessage>(_ message: Message) {
        buffer.clear()
        integer(UInt32(0))
        message.encode(to: &self)
        buffer.setInteger(UInt32(buffer.readableBytes - 4), at: 0, endianness: .little)
    }

    package mutating func integer<I: FixedWidthInteger>(_ value: I) {
        buffer.writeInteger(value, endianness: .little)
    }

    package mutating func bool(_ value: Bool) {
        integer(UInt8(value ? 1 : 0))
    }

    package mutating func float32(_ value: Float) {
        integer(value.bitPattern)
    }

    package mutating func float64(_ value: Double) {
        integer(value.bitPattern)
    }

    package mutating func time(_ value: ROSTime) {
        integer(value.sec)
        integer(value.nsec)
    }

    package mutating func string(_ value: String) {
        integer(UInt32(value.utf8.count))
        buffer.writeString(value)
    }

    package mutating func bytes(_ values: [UInt8]) {
        integer(UInt32(values.count))
        buffer.writeBytes(values)
    }

    package mutating func integers<I: FixedWidthInteger>(_ values: [I]) {
        integer(UInt32(values.count))
        for index in values.indices { integer(values[index]) }
    }

    package mutating func float32s(_ values: [Float]) {
        integer(UInt32(values.count))
        for index in values.indices { float32(values[index]) }
    }

    package mutating func float64s(_ values: [Double]) {
        integer(UInt32(values.count))
        for index in values.indices { float64(values[index]) }
    }

    package mutating func strings(_ values: [String]) {
        integer(UInt32(values.count))
        for index in values.indices { string(values[index]) }
    }

    package mutating func messages<M: ROSMessage>(_ values: [M]) {
        integer(UInt32(values.count))
        for index in values.indices { values[index].encode(to: &self) }
    }
}
