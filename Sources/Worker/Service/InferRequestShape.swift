import GRPCCore
import GrootAPI
import GrootCore

/// Counts the fields of an encoded `groot.v1.InferRequest` before memory is taken for them: two bytes of a body can
/// stand for a hundred of memory. Pure.
enum InferRequestShape {
    /// More than any robot has; the checkpoint's own lists are compared afterwards.
    static let maximumImages = 64
    static let maximumNames = 4096
    /// Of names and ids, which are echoed, logged and kept.
    static let maximumTextBytes = 1024
    /// Of all kinds: values that are not packed come one by one.
    static let maximumFields = 16_384

    /// Numbers in inference.proto.
    private enum Number {
        static let robot: UInt64 = 1
        static let requestID: UInt64 = 2
        static let images: UInt64 = 8
        static let names: UInt64 = 9
    }

    /// - Throws: `badRequest` for what is no message or holds too much.
    static func check<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws(WorkerError) {
        let problem = unsafe bytes.withUnsafeBytes { buffer -> String? in
            Self.problem(count: buffer.count) { unsafe buffer[$0] }
        }
        if let problem { throw WorkerError(.badRequest, problem) }
    }

    /// Nil when the bytes may be decoded.
    static func problem(count: Int, _ byte: (Int) -> UInt8?) -> String? {
        var cursor = ProtobufCursor(0..<count)
        var fields = 0
        var images = 0
        var names = 0
        while !cursor.isAtEnd {
            guard let field = cursor.next(byte) else { return "The message is damaged at byte \(cursor.offset)." }
            fields += 1
            if fields > maximumFields { return "The message holds more than \(maximumFields) fields." }
            switch field.number {
            case Number.images:
                images += 1
                if images > maximumImages { return "The message holds more than \(maximumImages) images." }
            case Number.robot, Number.requestID, Number.names:
                names += field.number == Number.names ? 1 : 0
                if names > maximumNames { return "The message holds more than \(maximumNames) state names." }
                if field.bytes.count > maximumTextBytes {
                    return
                        "The message holds a name of \(field.bytes.count) bytes, at most \(maximumTextBytes) are read."
                }
            default: break
            }
        }
        return nil
    }
}
