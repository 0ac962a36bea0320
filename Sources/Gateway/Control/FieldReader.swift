import Foundation
import GRPCCore

/// Checks of single request fields; each failure is `INVALID_ARGUMENT` and names the field.
enum FieldReader {
    static func problem(_ field: String, _ message: String) -> RPCError {
        RPCError(code: .invalidArgument, message: "\(field): \(message)")
    }

    /// A text of at most `limit` UTF-8 bytes without control characters other than tab and newline.
    static func text(_ value: String, _ field: String, limit: Int, mayBeEmpty: Bool = true) throws(RPCError) -> String {
        guard mayBeEmpty || !value.isEmpty else { throw problem(field, "must not be empty") }
        guard value.utf8.count <= limit else {
            throw problem(field, "has \(value.utf8.count) bytes; at most \(limit) are accepted")
        }
        guard value.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }) else {
            throw problem(field, "contains a control character")
        }
        return value
    }

    /// A name: a non-empty text of printable characters without white space.
    static func name(_ value: String, _ field: String, limit: Int = FieldLimit.name) throws(RPCError) -> String {
        let value = try text(value, field, limit: limit, mayBeEmpty: false)
        guard !value.contains(where: \.isWhitespace) else { throw problem(field, "must not contain white space") }
        return value
    }

    static func uuid(_ value: String, _ field: String) throws(RPCError) -> UUID {
        guard let uuid = UUID(uuidString: value) else {
            throw problem(field, "\"\(value.prefix(64))\" is no UUID")
        }
        return uuid
    }

    /// A count or duration that fits the database's bigint.
    static func count(_ value: UInt64, _ field: String) throws(RPCError) -> Int64 {
        guard let count = Int64(exactly: value) else { throw problem(field, "\(value) is too large") }
        return count
    }

    /// A count that fits the database's integer.
    static func small(_ value: UInt32, _ field: String) throws(RPCError) -> Int32 {
        guard let small = Int32(exactly: value) else { throw problem(field, "\(value) is too large") }
        return small
    }

    /// A wall-clock time in nanoseconds since 1970, from 2000 to 2199.
    static func wallClock(_ value: Int64, _ field: String) throws(RPCError) -> Int64 {
        guard (946_684_800_000_000_000..<7_258_118_400_000_000_000).contains(value) else {
            throw problem(field, "\(value) is no time in nanoseconds since 1970 between the years 2000 and 2199")
        }
        return value
    }

    /// The text of a JSON object.
    static func jsonObject(_ value: String, _ field: String, limit: Int) throws(RPCError) -> String {
        let value = try text(value, field, limit: limit, mayBeEmpty: false)
        // What does not parse is answered below.
        guard (try? JSONSerialization.jsonObject(with: Data(value.utf8))) is [String: Any] else {
            throw problem(field, "is no JSON object")
        }
        return value
    }
}

/// Largest request fields, in UTF-8 bytes unless said otherwise.
enum FieldLimit {
    /// Robots, boots, profiles, versions, hosts, workers, request ids.
    static let name = 128
    static let checkpoint = 256
    static let task = 1024
    static let reason = 2048
    static let runConfig = 256 * 1024
    /// The table has the same limit.
    static let thumbnail = 32 * 1024
    /// Records in one ReportTelemetry call.
    static let batchRecords = 10_000
}
