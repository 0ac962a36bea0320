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
        case permissionDenied = 7
        case resourceExhausted = 8
        case aborted = 10
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case unauthenticated = 16
    }

    var code: Code
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
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
            case .cancel: .cancelled
            case .enhanceYourCalm: .resourceExhausted
            case .inadequateSecurity: .permissionDenied
            default: .internal
            }
        self.init(status, "\(peer) reset the stream with \(code)")
    }

    /// The only header block of a response that carries nothing but this status.
    func trailersOnly(_ extra: [(String, String)] = []) -> HTTP2Headers {
        HTTP2Headers([(":status", "200"), ("content-type", "application/grpc")] + fields + extra)
    }

    /// The end of a response that has begun.
    var trailers: HTTP2Headers { HTTP2Headers(fields) }

    private var fields: [(String, String)] {
        [("grpc-status", "\(code.rawValue)"), ("grpc-message", Self.percentEncode(message))]
    }

    /// Keeps printable ASCII but for the percent sign; everything else as UTF-8 bytes, each %XX.
    static func percentEncode(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += hex.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return encoded
    }
}
