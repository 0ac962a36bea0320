/// One entry of the spool: what to report.
package struct SpoolEntry: Hashable, Sendable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// `RegisterRobotRequest`
        case register = 1
        /// `StartEpisodeRequest`
        case start = 2
        /// `FinishEpisodeRequest`
        case finish = 3
        /// `InferenceRecord`; its `sequence` is the entry's number, as with the next two.
        case inference = 4
        /// `ControlSample`
        case controlSample = 5
        /// `Event`
        case event = 6
        /// `TelemetryDrops`
        case drops = 7
        /// `Thumbnail`; its `sequence` is the entry's number.
        case thumbnail = 8

        package var lane: SpoolLane {
            switch self {
            case .register, .start, .finish, .drops: .episodes
            case .inference, .controlSample, .event: .details
            case .thumbnail: .pictures
            }
        }
    }

    package var kind: Kind
    /// Counts entries of one boot and lane from 1 on.
    package var number: UInt64
    package var payload: [UInt8]

    package init(kind: Kind, number: UInt64, payload: [UInt8]) {
        self.kind = kind
        self.number = number
        self.payload = payload
    }
}

/// Queues, because what is given up first when the disk is full is not what is given up last.
///
/// In the order in which they are sent; they are given up in the opposite order.
package enum SpoolLane: String, Sendable, CaseIterable {
    /// Few and small: who the robot is, how its episodes began and ended, what was given up.
    case episodes
    /// Inferences, control samples, events.
    case details
    /// Thumbnails: large, and missed the least.
    case pictures
}

/// The file format: frames of marker (4 bytes), length (u32), checksum (u32), kind (u8), number (u64), payload;
/// little-endian.
///
/// The length counts everything behind the checksum, which is a CRC-32 over length and all that it counts. Behind a
/// damaged place reading goes on at the next frame whose checksum is right, so that a flipped bit costs one entry and a
/// file that was cut costs the entry in which it was cut.
package enum SpoolFrame {
    /// Largest frame that is believed; a longer length means damage.
    package static let maximumLength = 1 << 20
    /// Smallest frame: no file has more entries than its bytes allow.
    package static let minimumBytes = prefix + head
    private static let marker: [UInt8] = [0x47, 0x53, 0xF5, 0x02]
    private static let prefix = 12
    private static let head = 9

    /// An entry and where its frame ends.
    package struct Decoded: Equatable, Sendable {
        package var entry: SpoolEntry
        package var end: Int
    }

    package static func encode(_ entry: SpoolEntry) -> [UInt8] {
        var counted: [UInt8] = []
        counted.reserveCapacity(4 + head + entry.payload.count)
        append(UInt32(head + entry.payload.count), to: &counted)
        let length = counted.count
        counted.append(entry.kind.rawValue)
        append(entry.number, to: &counted)
        counted += entry.payload
        var frame = marker
        frame.reserveCapacity(prefix + head + entry.payload.count)
        frame += counted[..<length]
        append(checksum(counted[...]), to: &frame)
        return frame + counted[length...]
    }

    /// Every whole, undamaged frame, in order.
    ///
    /// - Returns: also whether bytes that are no such frame lie behind the last one.
    package static func decode(_ bytes: [UInt8]) -> (entries: [Decoded], hasDamagedTail: Bool) {
        var entries: [Decoded] = []
        var offset = 0
        var end = 0
        while let start = markerStart(in: bytes, from: offset) {
            if let decoded = frame(in: bytes, at: start) {
                entries.append(decoded)
                offset = decoded.end
                end = decoded.end
            } else {
                offset = start + 1
            }
        }
        return (entries, end < bytes.count)
    }

    private static func frame(in bytes: [UInt8], at start: Int) -> Decoded? {
        guard bytes.count - start >= prefix + head else { return nil }
        let length = Int(integer(bytes[start + 4..<start + 8]))
        let body = start + prefix
        guard (head...maximumLength).contains(length), bytes.count - body >= length,
            let kind = SpoolEntry.Kind(rawValue: bytes[body])
        else { return nil }
        let expected = UInt32(truncatingIfNeeded: integer(bytes[start + 8..<start + 12]))
        guard checksum(bytes[start + 4..<start + 8], bytes[body..<body + length]) == expected else { return nil }
        let entry = SpoolEntry(
            kind: kind,
            number: integer(bytes[body + 1..<body + head]),
            payload: Array(bytes[(body + head)..<(body + length)])
        )
        return Decoded(entry: entry, end: body + length)
    }

    private static func markerStart(in bytes: [UInt8], from offset: Int) -> Int? {
        var index = offset
        while index + prefix + head <= bytes.count {
            if bytes[index] == marker[0], bytes[index + 1] == marker[1], bytes[index + 2] == marker[2],
                bytes[index + 3] == marker[3]
            {
                return index
            }
            index += 1
        }
        return nil
    }

    /// CRC-32 (IEEE 802.3, reflected) over the parts as if they were one.
    private static func checksum(_ parts: ArraySlice<UInt8>...) -> UInt32 {
        var value = UInt32.max
        for part in parts {
            for byte in part { value = table[Int((value ^ UInt32(byte)) & 0xFF)] ^ (value >> 8) }
        }
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
