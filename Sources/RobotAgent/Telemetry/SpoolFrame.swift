/// One entry of a spool file: what to report, in the order in which it happened.
package struct SpoolEntry: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// `RegisterRobotRequest`
        case register = 1
        /// `StartEpisodeRequest`
        case start = 2
        /// `FinishEpisodeRequest`
        case finish = 3
        /// `InferenceRecord`; its `sequence` is the entry's number.
        case inference = 4
        /// No payload: everything up to `number` is committed.
        case acknowledgement = 5
    }

    package var kind: Kind
    /// Counts entries of one boot from 1 on.
    package var number: UInt64
    package var payload: [UInt8]

    package init(kind: Kind, number: UInt64, payload: [UInt8]) {
        self.kind = kind
        self.number = number
        self.payload = payload
    }
}

/// The file format: frames of length (u32), checksum (u32), kind (u8), number (u64), payload; little-endian.
///
/// The length counts everything behind the checksum. A file that was cut at any byte is read up to its
/// last whole frame.
package enum SpoolFrame {
    /// Largest frame that is believed; a longer length means that the file is damaged.
    package static let maximumLength = 1 << 20
    private static let prefix = 8
    private static let head = 9

    package static func encode(_ entry: SpoolEntry) -> [UInt8] {
        var body: [UInt8] = [entry.kind.rawValue]
        append(entry.number, to: &body)
        body += entry.payload
        var frame: [UInt8] = []
        frame.reserveCapacity(prefix + body.count)
        append(UInt32(body.count), to: &frame)
        append(checksum(body[...]), to: &frame)
        return frame + body
    }

    /// Reads whole frames; `consumed` is where the first damaged or incomplete one starts.
    package static func decode(_ bytes: [UInt8]) -> (entries: [SpoolEntry], consumed: Int) {
        var entries: [SpoolEntry] = []
        var offset = 0
        while bytes.count - offset >= prefix + head {
            let length = Int(integer(bytes[offset..<offset + 4]))
            let expected = UInt32(truncatingIfNeeded: integer(bytes[offset + 4..<offset + 8]))
            let start = offset + prefix
            guard (head...maximumLength).contains(length), bytes.count - start >= length else { break }
            let body = bytes[start..<start + length]
            guard checksum(body) == expected, let kind = SpoolEntry.Kind(rawValue: body[start]) else { break }
            entries.append(
                SpoolEntry(
                    kind: kind,
                    number: integer(body[start + 1..<start + head]),
                    payload: Array(body[(start + head)...])
                )
            )
            offset = start + length
        }
        return (entries, offset)
    }

    /// CRC-32 (IEEE 802.3, reflected).
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var value = UInt32.max
        for byte in bytes { value = table[Int((value ^ UInt32(byte)) & 0xFF)] ^ (value >> 8) }
        return ~value
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? (value >> 1) ^ 0xEDB8_8320 : value >> 1 }
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
