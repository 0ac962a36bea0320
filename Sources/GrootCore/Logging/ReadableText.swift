/// Text that is quoted in a header, a message or a log line: no control characters, and no longer than that carries. Pure.
///
/// What comes from the other side of a border may be of any length and may hold colour codes; a message about it must
/// neither end the connection that carries it nor the log that shows it.
package enum ReadableText {
    /// Bytes of a `grpc-message` as it travels, percent-encoded: peers that take 8 kB of headers read it.
    package static let statusBytes = 1024
    /// Bytes of a list of names within a message, which holds two of them.
    package static let listBytes = 380
    /// Bytes of one name within a message.
    package static let nameBytes = 80

    private static let ellipsis = "\u{2026}"

    /// The text in one line, cut where its percent-encoded form would be longer than `limit`.
    package static func clipped(_ text: String, to limit: Int = statusBytes) -> String {
        // The common case is short and clean already.
        if text.utf8.count <= limit, text.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "%") }) {
            return text
        }
        let room = limit - cost(of: ellipsis)
        var kept = String.UnicodeScalarView()
        var used = 0
        // Where the text would be cut, should it turn out to be too long.
        var keptWithinRoom: String.UnicodeScalarView?
        for scalar in text.unicodeScalars {
            let shown: Unicode.Scalar = isReadable(scalar) ? scalar : " "
            used += cost(of: shown)
            if used > room, keptWithinRoom == nil { keptWithinRoom = kept }
            if used > limit { return String(keptWithinRoom ?? kept) + ellipsis }
            kept.append(shown)
        }
        return String(kept)
    }

    /// `["a", "b"]`, or `["a", "b", ... and 1984 more]` where the whole list would be too long.
    package static func list(_ items: some Collection<String>, to limit: Int = listBytes) -> String {
        var shown: [String] = []
        var used = 0
        for item in items {
            let quoted = "\"\(clipped(item, to: nameBytes))\""
            used += quoted.unicodeScalars.reduce(2) { $0 + cost(of: $1) }
            guard used <= limit else { break }
            shown.append(quoted)
        }
        let rest = items.count - shown.count
        if rest > 0 { shown.append("\(ellipsis) and \(rest) more") }
        return "[\(shown.joined(separator: ", "))]"
    }

    /// Neither a control character nor one that changes the direction or the lines of what stands beside it.
    private static func isReadable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: false
        default: true
        }
    }

    /// Bytes in percent-encoded form, as gRPC defines it.
    private static func cost(of scalar: Unicode.Scalar) -> Int {
        switch scalar.value {
        case 0x25: 3
        case 0x20...0x7E: 1
        default: 3 * UTF8.width(scalar)
        }
    }

    private static func cost(of text: String) -> Int { text.unicodeScalars.reduce(0) { $0 + cost(of: $1) } }
}
