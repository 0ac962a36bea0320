/// A setting of an agent that a run config may assign: its key, and which values make sense.
///
/// The agent reads them, the gateway refuses to save anything else; a test of the agent keeps the two together.
package struct AssignableSetting: Sendable {
    package enum Kind: Sendable {
        case whole(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        /// More than the lower end, at most the upper, or one of these words.
        case share(or: [String])
        case choice([String])
        case flag
        /// `30s`, `500ms` or seconds.
        case duration
        /// `raw` or `jpeg:Q`.
        case imageEncoding
    }

    /// The agent's flag without dashes, with `_`.
    package var key: String
    package var kind: Kind

    package static let all: [AssignableSetting] = [
        .init(key: "action_chunk_size", kind: .whole(1...100_000)),
        .init(
            key: "aggregate_fn",
            kind: .choice(["weighted_average", "latest_only", "average", "conservative"])
        ),
        .init(key: "blend_ms", kind: .number(10...1000)),
        .init(key: "chunk_start", kind: .whole(0...100_000)),
        .init(key: "chunk_end", kind: .whole(0...100_000)),
        .init(key: "chunk_size_threshold", kind: .share(or: ["auto"])),
        .init(key: "mode", kind: .choice(["async", "sync", "rtc"])),
        .init(key: "max_joint_velocity", kind: .number(1e-6...1e6)),
        .init(key: "request_timeout", kind: .duration),
        .init(key: "episode_timeout", kind: .duration),
        .init(key: "image_encoding", kind: .imageEncoding),
        .init(key: "hedge", kind: .flag),
        .init(key: "rotate_head_camera", kind: .flag),
    ]

    /// A value of a JSON object.
    package enum Value: Sendable, Equatable, Decodable {
        case text(String)
        case number(Double)
        case flag(Bool)

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // A decoder takes neither 1 for true nor "1" for 1; what is none of the three is the last one's error.
            if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    /// Nil when a value makes sense for a key, else what is wrong.
    package static func problem(_ key: String, _ value: Value) -> String? {
        guard let setting = all.first(where: { $0.key == key }) else {
            return
                "there is no setting \"\(key)\" that can be assigned; they are \(all.map(\.key).joined(separator: ", "))"
        }
        guard let expected = setting.kind.expectation(of: value) else { return nil }
        return "\"\(key)\": expected \(expected)"
    }
}

extension AssignableSetting.Kind {
    /// Nil when the value is one of these, else what is expected.
    fileprivate func expectation(of value: AssignableSetting.Value) -> String? {
        switch (self, value) {
        case (.whole(let range), .number(let number)) where number == number.rounded() && abs(number) < 1e9:
            range.contains(Int(number)) ? nil : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case (.whole(let range), _): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case (.number(let range), .number(let number)) where range.contains(number): nil
        case (.number(let range), _): "a number from \(range.lowerBound) to \(range.upperBound)"
        case (.share, .number(let number)) where number > 0 && number <= 1: nil
        case (.share(let words), .text(let text)) where words.contains(text): nil
        case (.share(let words), .text(let text)):
            Double(text).map { $0 > 0 && $0 <= 1 } == true
                ? nil : "a number above 0, at most 1, or \(words.joined(separator: " or "))"
        case (.share(let words), _): "a number above 0, at most 1, or \(words.joined(separator: " or "))"
        case (.choice(let words), .text(let text)) where words.contains(text): nil
        case (.choice(let words), _): "one of \(words.joined(separator: ", "))"
        case (.flag, .flag): nil
        case (.flag, _): "true or false"
        case (.duration, .text(let text)): Self.isDuration(text) ? nil : "a text such as \"30s\" or \"500ms\""
        case (.duration, _): "a text such as \"30s\" or \"500ms\""
        case (.imageEncoding, .text(let text)):
            Self.isEncoding(text) ? nil : "\"raw\", or \"jpeg:Q\" with Q from 1 to 100"
        case (.imageEncoding, _): "\"raw\", or \"jpeg:Q\" with Q from 1 to 100"
        }
    }

    private static func isDuration(_ text: String) -> Bool {
        let digits = text.hasSuffix("ms") ? text.dropLast(2) : text.hasSuffix("s") ? text.dropLast(1) : text[...]
        guard let value = Double(digits), value.isFinite else { return false }
        return value > 0 && value < 1e6
    }

    private static func isEncoding(_ text: String) -> Bool {
        if text == "raw" { return true }
        guard text.hasPrefix("jpeg:"), let quality = Int(text.dropFirst(5)) else { return false }
        return (1...100).contains(quality)
    }
}
