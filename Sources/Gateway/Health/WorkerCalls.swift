import GrootAPI
import GrootCore
import HTTP2
import NIOCore
import SwiftProtobuf

/// The two calls that the gateway itself makes to workers, over the connection that carries the robots' requests.
enum WorkerCalls {
    /// Nil when the worker serves, else what is wrong. A worker without the health service is taken by its word.
    static func health(of response: HTTP2Response) -> String? {
        let status = Status(response)
        if status.code == 12 { return nil }
        guard status.code == 0 else { return "health check failed: \(status)" }
        guard let message = message(in: response.body),
            let answer = try? Grpc_Health_V1_HealthCheckResponse(serializedBytes: message)  // malformed: said below
        else { return "health check failed: malformed answer" }
        return answer.status == .serving ? nil : "health check says \(answer.status)"
    }

    /// Which set of checkpoints the worker serves; nil when it does not say.
    static func generation(of response: HTTP2Response) -> String? {
        response.trailers[MetadataKey.generation] ?? response.headers[MetadataKey.generation]
    }

    /// What the worker serves, or why it cannot say.
    static func description(in response: HTTP2Response) -> Result<Groot_V1_DescribeResponse, Failure> {
        let status = Status(response)
        guard status.code == 0 else { return .failure(Failure(reason: "\(status)")) }
        guard let message = message(in: response.body) else { return .failure(Failure(reason: "malformed answer")) }
        // Before memory is taken: two bytes of an answer can stand for hundreds of it.
        guard isPlausible(message) else {
            return .failure(Failure(reason: "it describes more than \(mostCheckpoints) checkpoints"))
        }
        guard let answer = try? Groot_V1_DescribeResponse(serializedBytes: message)  // malformed: said below
        else { return .failure(Failure(reason: "malformed answer")) }
        if let long = answer.policies.first(where: { $0.checkpoint.utf8.count > longestCheckpoint }) {
            let name = ReadableText.clipped(long.checkpoint, to: ReadableText.nameBytes)
            return .failure(Failure(reason: "the name \(name) has more than \(longestCheckpoint) bytes"))
        }
        return .success(answer)
    }

    /// Checkpoints of one worker, as the control plane remembers them.
    static let mostCheckpoints = WorkerMemory.checkpointLimit
    /// Bytes of a checkpoint's name.
    static let longestCheckpoint = FieldLimit.checkpoint

    private static func isPlausible(_ message: [UInt8]) -> Bool {
        var cursor = ProtobufCursor(message.indices)
        var count = 0
        // What is no field is for the decoder to say. The worker's name and what later workers add are few.
        while !cursor.isAtEnd, cursor.next({ message[$0] }) != nil {
            count += 1
            if count > mostCheckpoints + 16 { return false }
        }
        return true
    }

    struct Failure: Error {
        var reason: String
    }

    static func check(_ connection: HTTP2Connection, authority: String, timeout: Duration) -> EventLoopFuture<
        HTTP2Response
    > {
        call(connection, "/grpc.health.v1.Health/Check", authority: authority, timeout: timeout)
    }

    static func describe(
        _ connection: HTTP2Connection,
        authority: String,
        timeout: Duration
    ) -> EventLoopFuture<HTTP2Response> {
        call(connection, "/groot.v1.Inference/Describe", authority: authority, timeout: timeout)
    }

    /// Both requests are empty messages: five zero bytes of gRPC framing.
    private static func call(
        _ connection: HTTP2Connection,
        _ path: String,
        authority: String,
        timeout: Duration
    ) -> EventLoopFuture<HTTP2Response> {
        let headers = HTTP2Headers([
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority),
            ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "groot-gateway"),
            ("grpc-timeout", GRPCTimeout.format(timeout)),
        ])
        return connection.call(headers: headers, body: ByteBuffer(bytes: [0, 0, 0, 0, 0]), timeout: timeout)
    }

    private static func message(in body: ByteBuffer) -> [UInt8]? {
        var body = body
        guard let compressed = body.readInteger(as: UInt8.self), compressed == 0,
            let length = body.readInteger(as: UInt32.self)
        else { return nil }
        return body.readBytes(length: Int(length))
    }

    private struct Status: CustomStringConvertible {
        var code: Int
        var message: String

        init(_ response: HTTP2Response) {
            guard response.status == 200 else {
                code = GRPCStatus(httpStatus: response.status, from: "worker").code.rawValue
                message = "HTTP status \(response.status)"
                return
            }
            let headers = response.trailers.contains("grpc-status") ? response.trailers : response.headers
            code = headers["grpc-status"].flatMap { Int($0) } ?? 2
            message = headers["grpc-message"] ?? "no message"
        }

        var description: String { "status \(code), \(message)" }
    }
}
