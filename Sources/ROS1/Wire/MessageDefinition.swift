import Crypto

/// A message definition text and the fingerprints that follow from it.
///
/// Pure values, any thread. The fingerprint is the MD5 of the canonical text: constants first, then
/// fields in order, blanks normalised, comments dropped, and every embedded message type replaced by
/// its own fingerprint.
package struct MessageDefinition: Sendable {
    /// `package/Type`.
    package var type: String
    /// Own fields, then embedded types behind `MSG: package/Type` lines.
    package var text: String

    package init(type: String, text: String) {
        self.type = type
        self.text = text
    }

    /// Joins a type's own fields with the definitions of the types that it embeds.
    package static func compose(_ own: String, embedding dependencies: [any ROSMessage.Type] = []) -> String {
        var sections: [(type: String, text: String)] = []
        for dependency in dependencies {
            let (head, embedded) = split(dependency.definition)
            for section in [(dependency.rosType, head)] + embedded
            where !sections.contains(where: { $0.type == section.0 }) {
                sections.append((section.0, section.1))
            }
        }
        return sections.reduce(own) { text, section in
            text + "\n" + separator + "\nMSG: \(section.type)\n" + section.text
        }
    }

    package var md5: String {
        Self.digest(canonicalText)
    }

    /// The text whose MD5 is the fingerprint.
    var canonicalText: String {
        let (own, embedded) = Self.split(text)
        let texts = Dictionary(embedded, uniquingKeysWith: { first, _ in first })
        return Self.canonical(own, type: type, embedded: texts, depth: 0)
    }

    /// MD5 over the canonical request text directly followed by the canonical response text.
    package static func serviceMD5(request: any ROSMessage.Type, response: any ROSMessage.Type) -> String {
        digest(
            MessageDefinition(type: request.rosType, text: request.definition).canonicalText
                + MessageDefinition(type: response.rosType, text: response.definition).canonicalText
        )
    }

    private static let separator = String(repeating: "=", count: 80)
    private static let maximumDepth = 16
    private static let primitives: Set<String> = [
        "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
        "string",
        "time", "duration", "byte", "char",
    ]

    private static func split(_ text: String) -> (own: String, embedded: [(String, String)]) {
        var sections: [(String, [Substring])] = [("", [])]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("====") { continue }
            if line.hasPrefix("MSG: ") {
                sections.append((String(line.dropFirst(5)), []))
            } else {
                sections[sections.count - 1].1.append(line)
            }
        }
        let joined = sections.map { ($0.0, $0.1.joined(separator: "\n")) }
        return (joined[0].1, Array(joined.dropFirst()))
    }

    private static func canonical(_ own: String, type: String, embedded: [String: String], depth: Int) -> String {
        var constants: [String] = []
        var fields: [String] = []
        for line in own.split(separator: "\n") {
            let code = line.prefix { $0 != "#" }
            let words = code.split(whereSeparator: \.isWhitespace)
            guard words.count >= 2 else { continue }
            if let equals = code.firstIndex(of: "=") {
                let left = code[..<equals].split(whereSeparator: \.isWhitespace)
                let value = code[code.index(after: equals)...].split(whereSeparator: \.isWhitespace).joined(
                    separator: " "
                )
                constants.append("\(left.joined(separator: " "))=\(value)")
            } else {
                let base = String(words[0].prefix { $0 != "[" })
                guard !primitives.contains(base), depth < maximumDepth else {
                    fields.append("\(words[0]) \(words[1])")
                    continue
                }
                let name = resolve(base, from: type)
                let text = canonical(embedded[name] ?? "", type: name, embedded: embedded, depth: depth + 1)
                fields.append("\(digest(text)) \(words[1])")
            }
        }
        return (constants + fields).joined(separator: "\n")
    }

    private static func resolve(_ name: String, from type: String) -> String {
        if name == "Header" { return "std_msgs/Header" }
        if name.contains("/") { return name }
        return type.prefix { $0 != "/" } + "/" + name
    }

    private static func digest(_ text: String) -> String {
        Insecure.MD5.hash(data: Array(text.utf8)).map { byte in
            let hex = String(byte, radix: 16)
            return hex.count == 1 ? "0" + hex : hex
        }.joined()
    }
}

extension ROSMessage {
    /// The fingerprint that follows from `definition`; conforming types store it once.
    static func computedMD5() -> String {
        MessageDefinition(type: rosType, text: definition).md5
    }
}
