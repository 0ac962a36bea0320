/// Texts of strangers as a log shows them: short, and a `grpc-message` decoded.
extension ReadableText {
    /// Characters of one value in a log line; more is cut and said.
    package static let logCharacters = 1024

    /// A value as a log shows it: at most `limit` characters, and how many more there were.
    package static func logged(_ text: String, to limit: Int = logCharacters) -> String {
        // Most are short, and counting bytes costs nothing.
        guard text.utf8.count > limit else { return text }
        let end = text.index(text.startIndex, offsetBy: limit, limitedBy: text.endIndex) ?? text.endIndex
        guard end < text.endIndex else { return text }
        return text[..<end] + "… and \(text.distance(from: end, to: text.endIndex)) more"
    }

    /// A `grpc-message` for people: its %XX as the characters that they stand for, control characters as spaces, clipped.
    package static func decoded(_ message: String, limit: Int = logCharacters) -> String {
        guard message.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 < 0x20 || $0 >= 0x7F }) else {
            return logged(message, to: limit)
        }
        var bytes: [UInt8] = []
        var rest = Array(message.utf8.prefix(16 * limit))[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = hex(rest[rest.startIndex..<rest.startIndex + 2])
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        let shown = String(decoding: bytes, as: UTF8.self).unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control ? " " : Character(scalar)
        }
        let more = message.utf8.count > 16 * limit ? "…" : ""
        return logged(String(shown), to: limit) + more
    }

    private static func hex(_ digits: ArraySlice<UInt8>) -> UInt8? {
        // A sign is no digit.
        digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
            ? UInt8(String(decoding: digits, as: UTF8.self), radix: 16) : nil
    }
}
