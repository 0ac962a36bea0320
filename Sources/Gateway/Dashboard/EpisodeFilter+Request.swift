import GrootStore

extension Store.EpisodeFilter {
    static let largestPage = 500

    /// What a URL's parameters ask for.
    ///
    /// - Throws: `BadQuery` that names the parameter.
    init(query: [(name: String, value: String)]) throws(BadQuery) {
        self.init()
        for (name, value) in query where !value.isEmpty {
            guard value.utf8.count <= 400 else { throw BadQuery("\(name) is longer than 400 bytes") }
            switch name {
            case "robot": robot = value
            case "outcome": outcome = value
            case "task": task = value
            case "checkpoint": checkpoint = value
            case "before":
                guard Self.isInstant(value) else { throw BadQuery("before=\(value): expected a time in ISO 8601") }
                before = value
            case "limit":
                guard let limit = Int(value), (1...Self.largestPage).contains(limit) else {
                    throw BadQuery("limit=\(value): expected 1 to \(Self.largestPage)")
                }
                self.limit = limit
            default: throw BadQuery("\(name) is no filter; there are robot, outcome, task, checkpoint, before, limit")
            }
        }
    }

    /// As the database writes one: `2026-11-24T15:00:00.123456+00:00`.
    private static func isInstant(_ text: String) -> Bool {
        text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)/) != nil
    }
}

/// A parameter of a URL that makes no sense.
struct BadQuery: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
