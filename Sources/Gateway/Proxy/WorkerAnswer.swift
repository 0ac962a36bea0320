import GrootAPI
import HTTP2
import NIOCore

/// An answer as it came from a worker: headers, body, trailers, kept as they are. Pure.
struct WorkerAnswer: Sendable {
    let headers: HTTP2Headers
    var trailers: HTTP2Headers?
    private(set) var body: [ByteBuffer] = []
    private var frame = MessageFrame()

    init(headers: HTTP2Headers) {
        self.headers = headers
    }

    var byteCount: Int { frame.byteCount }
    /// Where the status is: the trailers, or the headers of an answer that has nothing else.
    var last: HTTP2Headers { trailers ?? headers }
    /// What is wrong with the body of a good answer; nil when it is one whole message.
    var problem: String? {
        // Compressed answers are the robot's affair: it said what it takes.
        headers.contains("grpc-encoding") ? nil : frame.problem
    }

    /// Which description of its checkpoints the worker goes by; nil when it does not say.
    var generation: String? { last[MetadataKey.generation] ?? headers[MetadataKey.generation] }

    mutating func append(_ part: ByteBuffer) {
        frame.append(part)
        body.append(part)
    }
}
