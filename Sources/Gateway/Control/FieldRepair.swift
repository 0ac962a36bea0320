import Foundation
import GrootCore

/// Fields that are repaired rather than believed, as metrics name them.
enum RepairedField: String, Sendable, CaseIterable {
    case profile
    case agentVersion = "agent_version"
    case host
    case task
    case checkpoint
    case checkpointSHA256 = "checkpoint_sha256"
    case runConfig = "run_config"
    case mode
    case reason
    case decidedBy = "decided_by"
    case notes
    case requestID = "request_id"
    case worker
    case status
    case message
    case kind
    case name
    case camera
    /// Any wall clock.
    case clock
    /// Any text that was no UTF-8.
    case encoding
}

/// Makes what is for people storable instead of refusing the record for it, and counts what it changed.
///
/// Pure: made for one request, with the time of its receipt.
struct FieldRepair {
    /// Wall clock of the gateway, nanoseconds since 1970.
    private let receivedAt: Int64
    /// How often each field was changed.
    private(set) var repairs: [RepairedField: Int] = [:]
    /// What could not be kept in the record although the record is stored; it goes into quarantine beside it.
    private(set) var leftOut: [String] = []

    /// 2000-01-01: before it no robot had this program.
    static let earliest: Int64 = 946_684_800_000_000_000
    /// A clock may be a day ahead: it may be set to local time.
    static let mostAhead: Int64 = 86_400_000_000_000

    init(receivedAt: Int64) {
        self.receivedAt = receivedAt
    }

    /// A text for people.
    mutating func text(_ value: String, _ field: RepairedField, limit: Int) -> String {
        guard !PeopleText.isClean(value, limit: limit) else { return value }
        count(field)
        return PeopleText.clean(value, limit: limit)
    }

    /// A word that is counted and grouped by, but decides nothing.
    mutating func word(_ value: String, _ field: RepairedField, otherwise: String = "unknown") -> String {
        let isWord =
            !value.isEmpty && value.utf8.count <= FieldLimit.name
            && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard !isWord else { return value }
        count(field)
        let cleaned = PeopleText.clean(value, limit: FieldLimit.name)
        let word = String(cleaned.map { $0.isWhitespace ? "_" : $0 })
        return word.isEmpty ? otherwise : word
    }

    /// One of a closed set; nil, counted, for what this program does not know.
    mutating func choice<Choice: RawRepresentable<String>>(_ value: String, _ field: RepairedField) -> Choice? {
        if let choice = Choice(rawValue: value) { return choice }
        count(field)
        return nil
    }

    /// A wall clock in nanoseconds since 1970; the time of receipt and true when it is absurd.
    mutating func clock(_ value: Int64) -> (time: Int64, isCorrected: Bool) {
        // A gateway whose own clock is wrong must not correct by it.
        let latest = receivedAt >= Self.earliest ? receivedAt + Self.mostAhead : Int64.max
        guard value < Self.earliest || value > latest else { return (value, false) }
        count(.clock)
        return (receivedAt, true)
    }

    /// A run configuration: a JSON object that the database can keep. `{}` when it is none.
    mutating func runConfig(_ value: String) -> String {
        guard value.utf8.count <= FieldLimit.runConfig else {
            return withoutRunConfig("has \(value.utf8.count) bytes; at most \(FieldLimit.runConfig) are accepted")
        }
        // What does not parse is answered below.
        guard let object = (try? JSONSerialization.jsonObject(with: Data(value.utf8))) as? [String: Any] else {
            return withoutRunConfig("is no JSON object")
        }
        // The database keeps neither U+0000, however it is written, nor is a control character of use to anybody.
        guard value.contains("\\u") || !PeopleText.isClean(value, limit: FieldLimit.runConfig) else { return value }
        let cleaned = Self.cleaned(object)
        // What was parsed can be written.
        guard let data = try? JSONSerialization.data(withJSONObject: cleaned, options: .sortedKeys) else {
            return withoutRunConfig("cannot be written again")
        }
        count(.runConfig)
        return String(decoding: data, as: UTF8.self)
    }

    private mutating func withoutRunConfig(_ why: String) -> String {
        count(.runConfig)
        leftOut.append("run_config_json: \(why); the episode is stored without it")
        return "{}"
    }

    private static func cleaned(_ value: Any) -> Any {
        switch value {
        case let text as String: PeopleText.clean(text, limit: FieldLimit.runConfig)
        case let list as [Any]: list.map { cleaned($0) }
        case let object as [String: Any]:
            Dictionary(
                object.map { (PeopleText.clean($0.key, limit: FieldLimit.name), cleaned($0.value)) },
                uniquingKeysWith: { first, _ in first }
            )
        default: value
        }
    }

    private mutating func count(_ field: RepairedField) {
        repairs[field, default: 0] += 1
    }
}
