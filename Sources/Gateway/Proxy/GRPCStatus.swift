import GrootAPI
import GrootCore
import HTTP2

/// A gRPC status that the gateway itself answers with, and the tables that lead to one.
struct GRPCStatus: Sendable, Equatable {
    enum Code: Int, Sendable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    var code: Code
    var message: String
    /// When to ask again, if somebody said so.
    var pushback: Duration?

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// What a worker's answer says that is a failure, with its message decoded.
    init(code: Int?, text: String?, message: String?, pushback: Duration?, from peer: String) {
        if let code, let known = Code(rawValue: code), known != .ok {
            self.init(known, message.map(GRPCMessage.decode) ?? "")
            self.pushback = pushback
        } else {
            let what = text.map { "with grpc-status \"\($0.prefix(16))\"" } ?? "without a grpc-status"
            self.init(.unknown, "\(peer) answered \(what)")
        }
    }

    /// What an upstream's HTTP status means when it did not speak gRPC.
    init(httpStatus: Int, from peer: String) {
        let code: Code =
            switch httpStatus {
            case 400: .internal
            case 401: .unauthenticated
            case 403: .permissionDenied
            case 404: .unimplemented
            case 429, 502, 503, 504: .unavailable
            default: .unknown
            }
        self.init(code, "\(peer) answered with HTTP status \(httpStatus) instead of gRPC")
    }

    /// What an upstream's RST_STREAM means for the caller.
    init(reset code: HTTP2ErrorCode, from peer: String) {
        let status: Code =
            switch code {
            case .refusedStream: .unavailable
            case .inadequateSecurity: .permissionDenied
            // Whatever its reason: the request is whole, and nobody here gave it up.
            case .cancel, .enhanceYourCalm: .unavailable
            default: .internal
            }
        self.init(status, "\(peer) reset the stream with \(code)")
    }

    /// The only header block of a response that carries nothing but this status.
    func trailersOnly(_ extra: [(String, String)] = [], httpStatus: Int = 200) -> HTTP2Headers {
        HTTP2Headers([(":status", "\(httpStatus)"), ("content-type", "application/grpc")] + fields + extra)
    }

    /// The end of a response that has begun.
    var trailers: HTTP2Headers { HTTP2Headers(fields) }

    private var fields: [(String, String)] {
        var fields = [("grpc-status", "\(code.rawValue)"), ("grpc-message", GRPCMessage.encode(message))]
        if let pushback { fields.append((MetadataKey.pushback, "\(Int64(pushback.milliseconds))")) }
        return fields
    }
}
