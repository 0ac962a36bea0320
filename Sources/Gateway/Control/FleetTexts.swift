import GrootAPI
import SwiftProtobuf

/// Where texts lie in an encoded message, by field number. Pure.
///
/// A message whose text is no UTF-8 does not decode at all; who knows where its texts are can mend that one.
struct TextFields: Hashable, Sendable {
    private let texts: Set<UInt64>
    private let messages: [UInt64: TextFields]

    init(_ texts: Set<UInt64>, inside messages: [UInt64: TextFields] = [:]) {
        self.texts = texts
        self.messages = messages
    }

    /// The same message with U+FFFD for what is no UTF-8 in its texts, and how many texts that were; nil when it is damaged
    /// in another way.
    func repaired(_ bytes: ArraySlice<UInt8>) -> (bytes: [UInt8], count: Int)? {
        var cursor = ProtobufCursor(bytes.startIndex..<bytes.endIndex)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var count = 0
        while !cursor.isAtEnd {
            let start = cursor.offset
            guard let field = cursor.next({ bytes[$0] }) else { return nil }
            let content = bytes[field.bytes]
            var mended: [UInt8]?
            if texts.contains(field.number) {
                if String(validating: content, as: UTF8.self) == nil {
                    mended = Array(String(decoding: content, as: UTF8.self).utf8)
                    count += 1
                }
            } else if let inner = messages[field.number] {
                guard let found = inner.repaired(content) else { return nil }
                if found.count > 0 { mended = found.bytes }
                count += found.count
            }
            guard let mended else {
                result += bytes[start..<cursor.offset]
                continue
            }
            Self.append(field.number << 3 | 2, to: &result)
            Self.append(UInt64(mended.count), to: &result)
            result += mended
        }
        return (result, count)
    }

    private static func append(_ varint: UInt64, to bytes: inout [UInt8]) {
        var rest = varint
        while rest > 0x7F {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// A request of `groot.v1.Fleet`; a test compares the numbers with fleet.proto.
protocol FleetRequest: Message {
    static var texts: TextFields { get }
}

extension Groot_V1_RegisterRobotRequest: FleetRequest {
    static let texts = TextFields([1, 2, 3, 4, 5])
}

extension Groot_V1_StartEpisodeRequest: FleetRequest {
    static let texts = TextFields([1, 2, 3, 4, 5, 6, 7, 8, 11])
}

extension Groot_V1_FinishEpisodeRequest: FleetRequest {
    static let texts = TextFields([1, 2, 4, 5, 14])
}

extension Groot_V1_ReportTelemetryRequest: FleetRequest {
    static let texts = TextFields(
        [1, 2],
        inside: [
            3: TextFields([2, 3, 5, 6, 19, 20, 25]), 4: TextFields([2]), 5: TextFields([2, 4, 5, 6]),
            7: TextFields([2, 3]),
        ]
    )
}

extension Groot_V1_AssignRunConfigRequest: FleetRequest {
    static let texts = TextFields([1, 2, 3, 4])
}

extension Groot_V1_RegisterWorkerRequest: FleetRequest {
    static let texts = TextFields([1, 2])
}
