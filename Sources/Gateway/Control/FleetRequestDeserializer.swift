import GRPCCore
import GrootAPI
import SwiftProtobuf

/// Decodes a request of `groot.v1.Fleet`. Pure but for the count of what it mended.
///
/// Before memory is taken, its fields are counted: two bytes of a request can stand for hundreds of memory. A text that is
/// no UTF-8 is mended, not a reason to lose what stands beside it; names with a mended place are refused by `FieldReader`.
struct FleetRequestDeserializer<Request: FleetRequest>: MessageDeserializer {
    /// More than the records of a full report and what goes with them; unknown fields of newer agents come on top.
    static var maximumFields: Int { FieldLimit.batchRecords + 240 }

    let instruments: ControlInstruments

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> Request {
        let encoded = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        try Self.checkShape(encoded)
        do {
            return try Request(serializedBytes: encoded)
        } catch BinaryDecodingError.invalidUTF8 {
            guard let repaired = Request.texts.repaired(encoded[...]), repaired.count > 0 else {
                throw Self.refusal("a text is no UTF-8")
            }
            instruments.repaired([.encoding: repaired.count])
            do {
                return try Request(serializedBytes: repaired.bytes)
            } catch {
                throw Self.refusal("\(error)")
            }
        } catch {
            throw Self.refusal("\(error)")
        }
    }

    private static func checkShape(_ encoded: [UInt8]) throws(RPCError) {
        var cursor = ProtobufCursor(encoded.indices)
        var count = 0
        while !cursor.isAtEnd {
            // What is no field is for the decoder to say.
            guard cursor.next({ encoded[$0] }) != nil else { return }
            count += 1
            guard count <= maximumFields else {
                let most = "at most \(FieldLimit.batchRecords) records are accepted in one call"
                throw refusal("it holds more than \(maximumFields) fields; \(most)")
            }
        }
    }

    private static func refusal(_ why: String) -> RPCError {
        RPCError(code: .invalidArgument, message: "the message is no \(Request.protoMessageName): \(why)")
    }
}
