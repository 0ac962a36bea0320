import GRPCCore
import GRPCProtobuf
import GrootAPI
import GrootCore
import SwiftProtobuf

/// A request, or why it is none, and how long decoding it took.
struct TimedRequest: Sendable {
    var message: Result<Groot_V1_InferRequest, WorkerError>
    var decode: Duration
}

/// Looks at a body's shape before it is decoded: two bytes of a body can stand for a hundred of memory.
struct TimedRequestDeserializer: MessageDeserializer {
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> TimedRequest {
        let started = MonotonicInstant.now()
        let message = Result { () throws(WorkerError) -> Groot_V1_InferRequest in
            try InferRequestShape.check(bytes)
            do {
                return try ProtobufDeserializer<Groot_V1_InferRequest>().deserialize(bytes)
            } catch {
                throw WorkerError(.badRequest, "The message is no groot.v1.InferRequest: \(error)", cause: error)
            }
        }
        return TimedRequest(message: message, decode: MonotonicInstant.now() - started)
    }
}

/// Encodes an answer and writes the time that took into it.
///
/// Protobuf merges the fields of concatenated messages, so the timings are encoded after the rest was timed.
struct TimedResponseSerializer: MessageSerializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: Groot_V1_InferResponse) throws -> Bytes {
        let started = MonotonicInstant.now()
        var body = message
        body.clearTimings()
        var bytes: [UInt8] = try body.serializedBytes()
        var timings = Groot_V1_InferResponse()
        timings.timings = message.timings
        timings.timings.encodeNs = (MonotonicInstant.now() - started).unsignedNanoseconds
        bytes += try timings.serializedBytes() as [UInt8]
        return Bytes(bytes)
    }
}

extension Duration {
    var unsignedNanoseconds: UInt64 { UInt64(clamping: nanoseconds) }
}
