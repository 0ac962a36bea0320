import GRPCCore
import GRPCProtobuf
import GrootAPI
import GrootCore
import SwiftProtobuf

/// A request and how long decoding it took.
struct TimedRequest: Sendable {
    var message: Groot_V1_InferRequest
    var decode: Duration
}

struct TimedRequestDeserializer: MessageDeserializer {
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> TimedRequest {
        let started = MonotonicInstant.now()
        let message = try ProtobufDeserializer<Groot_V1_InferRequest>().deserialize(bytes)
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
