/// Walks the fields of one encoded protobuf message without building it. Pure; asks for no byte outside its range,
/// whatever the message claims.
package struct ProtobufCursor: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        package var number: UInt64
        /// Where a value of bytes lies; empty for numbers.
        package var bytes: Range<Int>
        /// Of a varint, else 0.
        package var value: UInt64
    }

    package private(set) var offset: Int
    private let end: Int

    package init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    package var isAtEnd: Bool { offset >= end }

    /// The field at `offset`, which moves behind it; nil when the rest is no field.
    ///
    /// - Parameter byte: the byte at an offset of the range; nil when it cannot be read.
    package mutating func next(_ byte: (Int) -> UInt8?) -> Field? {
        guard let tag = varint(byte) else { return nil }
        let number = tag >> 3
        guard number > 0, number < 1 << 29 else { return nil }
        switch tag & 7 {
        case 0:
            guard let value = varint(byte) else { return nil }
            return Field(number: number, bytes: offset..<offset, value: value)
        case 1: return skipped(number, 8)
        case 2:
            guard let length = varint(byte), length <= UInt64(end - offset) else { return nil }
            return skipped(number, Int(length))
        case 5: return skipped(number, 4)
        // Groups, which neither our messages nor ONNX use.
        default: return nil
        }
    }

    private mutating func skipped(_ number: UInt64, _ count: Int) -> Field? {
        guard count <= end - offset else { return nil }
        defer { offset += count }
        return Field(number: number, bytes: offset..<offset + count, value: 0)
    }

    private mutating func varint(_ byte: (Int) -> UInt8?) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard offset < end, let next = byte(offset) else { return nil }
            offset += 1
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
        }
        return nil
    }
}
