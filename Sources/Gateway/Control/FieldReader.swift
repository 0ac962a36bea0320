import Foundation
import GRPCCore

/// Why a record cannot be stored as what it is: the field, and what is wrong with it.
struct FieldProblem: Error, Equatable {
    var message: String

    init(_ field: String, _ message: String) { self.message = "\(field): \(message)" }

    /// The same, said by a list of records.
    func inside(_ list: StaticString, _ index: Int) -> FieldProblem {
        var problem = self
        problem.message = "\(list)[\(index)].\(message)"
        return problem
    }

    /// For requests that are about nobody: there is no name to store anything under.
    var refusal: RPCError { RPCError(code: .invalidArgument, message: message) }
}

/// Fields that decide whose and what a record is: they are believed as they are, or the record is not what it says.
///
/// Pure. What is for people is `FieldRepair`'s.
enum FieldReader {
    /// A name: a non-empty text of printable characters without white space.
    static func name(_ value: String, _ field: String, limit: Int = FieldLimit.name) throws(FieldProblem) -> String {
        guard !value.isEmpty else { throw FieldProblem(field, "must not be empty") }
        guard value.utf8.count <= limit else {
            throw FieldProblem(field, "has \(value.utf8.count) bytes; at most \(limit) are accepted")
        }
        guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw FieldProblem(field, "contains a control character")
        }
        // What is there for what was no UTF-8: whose name that was, nobody can say.
        guard !value.unicodeScalars.contains("\u{FFFD}") else { throw FieldProblem(field, "is no UTF-8") }
        guard !value.contains(where: \.isWhitespace) else { throw FieldProblem(field, "must not contain white space") }
        return value
    }

    static func uuid(_ value: String, _ field: String) throws(FieldProblem) -> UUID {
        guard let uuid = UUID(uuidString: value) else {
            throw FieldProblem(field, "\"\(value.prefix(64))\" is no UUID")
        }
        return uuid
    }

    /// A number of a record. Half of what fits is left free, so that arithmetic on it never ends.
    static func sequence(_ value: UInt64) throws(FieldProblem) -> Int64 {
        guard value <= FieldLimit.sequence else { throw FieldProblem("sequence", "\(value) is absurd") }
        return Int64(value)
    }

    /// A time that was measured, in nanoseconds.
    static func duration(_ value: UInt64, _ field: String) throws(FieldProblem) -> Int64 {
        guard value <= FieldLimit.duration else {
            throw FieldProblem(field, "\(value) ns are more than the \(FieldLimit.duration) of thirty days")
        }
        return Int64(value)
    }

    /// A time that may be negative.
    static func runway(_ value: Int64, _ field: String) throws(FieldProblem) -> Int64 {
        guard value.magnitude <= FieldLimit.duration else {
            throw FieldProblem(field, "\(value) ns are more than the \(FieldLimit.duration) of thirty days")
        }
        return value
    }

    /// Something that was counted.
    static func count(_ value: UInt64, _ field: String) throws(FieldProblem) -> Int64 {
        guard value <= FieldLimit.count else { throw FieldProblem(field, "\(value) is too large") }
        return Int64(value)
    }

    /// A number of rows or attempts.
    static func small(_ value: UInt32, _ field: String) throws(FieldProblem) -> Int32 {
        guard value <= FieldLimit.small else { throw FieldProblem(field, "\(value) is too large") }
        return Int32(value)
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
    /// Largest number of a record.
    static let sequence: UInt64 = 1 << 62
    /// Longest measured time in nanoseconds: thirty days.
    static let duration: UInt64 = 30 * 86_400 * 1_000_000_000
    static let count: UInt64 = 1 << 50
    static let small: UInt32 = 1 << 20
}
