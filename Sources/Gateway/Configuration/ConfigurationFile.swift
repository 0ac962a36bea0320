import Foundation

/// The JSON file of settings: one object whose values have the kinds that their settings want. Pure.
struct ConfigurationFile {
    /// By key, as a flag would give them.
    private(set) var values: [String: String] = [:]
    private(set) var problems: [String] = []

    /// - Parameter kinds: of the settings that there are; keys outside of it are the caller's to refuse.
    init(path: String, text: String, kinds: [String: Setting.Kind]) {
        do {
            let found = try JSONDecoder().decode([String: Value].self, from: Data(text.utf8))
            for key in Self.repeated(in: text) { problems.append("\(path): \(key): is there more than once") }
            for (key, value) in found.sorted(by: { $0.key < $1.key }) {
                guard let kind = kinds[key] else {
                    values[key] = value.shown
                    continue
                }
                if let text = value.text(as: kind) {
                    values[key] = text
                } else {
                    problems.append("\(path): \(key): must be \(kind.rawValue), not \(value.shown)")
                }
            }
        } catch DecodingError.dataCorrupted(let context) {
            problems.append(
                "\(path): is no JSON: \(context.underlyingError.map { "\($0)" } ?? context.debugDescription)"
            )
        } catch {
            problems.append("\(path): must be one JSON object of settings")
        }
    }

    /// What JSON had there.
    private enum Value: Decodable {
        case flag(Bool)
        case whole(Int)
        case number(Double)
        case text(String)
        case list([String])
        /// Null, an object, or a list of something else than texts.
        case other(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // Each kind in turn; what fits none of them is told to the user as what it is.
            if container.decodeNil() {
                self = .other("null")
            } else if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Int.self) {
                self = .whole(number)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let list = try? container.decode([String].self) {
                self = .list(list)
            } else {
                self = .other((try? decoder.unkeyedContainer()) == nil ? "an object" : "a list of other things")
            }
        }

        /// As a flag would have it; nil when a setting of this kind cannot have it.
        func text(as kind: Setting.Kind) -> String? {
            switch (self, kind) {
            case (.flag(let flag), .flag): "\(flag)"
            case (.whole(let number), .whole), (.whole(let number), .number): "\(number)"
            case (.number(let number), .number): "\(number)"
            case (.text(let text), .text), (.text(let text), .list): text
            case (.list(let list), .list): list.joined(separator: ",")
            default: nil
            }
        }

        var shown: String {
            switch self {
            case .flag(let flag): "\(flag)"
            case .whole(let number): "\(number)"
            case .number(let number): "\(number)"
            case .text(let text): "the text \"\(text.prefix(80))\""
            case .list: "a list of texts"
            case .other(let what): what
            }
        }
    }

    /// Keys of the outermost object that it has more than once: the decoder would take one of them in silence.
    private static func repeated(in text: String) -> [String] {
        var seen: Set<String> = []
        var repeated: [String] = []
        var depth = 0
        var string: String?
        var last = ""
        var isEscaped = false
        for character in text.unicodeScalars {
            if let open = string {
                if isEscaped || character == "\\" {
                    isEscaped = !isEscaped
                    string = open + String(character)
                } else if character == "\"" {
                    last = open
                    string = nil
                } else {
                    string = open + String(character)
                }
                continue
            }
            switch character {
            case "\"": string = ""
            case "{", "[": depth += 1
            case "}", "]": depth -= 1
            case ":" where depth == 1:
                if !seen.insert(last).inserted { repeated.append(last) }
            default: break
            }
        }
        return repeated
    }
}
