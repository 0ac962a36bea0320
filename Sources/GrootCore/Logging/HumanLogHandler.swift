import Foundation
package import Logging

/// Writes one line for people to standard error: time of day, level, message, metadata as `key=value`.
///
/// What came from outside cannot move the cursor: control characters are shown, not sent.
package struct HumanLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    private let label: String
    /// Set on one logger; otherwise the process's level holds, which may change.
    private var own: Logger.Level?

    package init(label: String) {
        self.label = label
    }

    package var logLevel: Logger.Level {
        get { own ?? LogSetup.level }
        set { own = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let time = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true, timeZone: .current))
        let line = Self.line(
            // The time of day out of 2026-11-29T04:28:01.123+08:00.
            time: String(time.dropFirst(11).prefix(12)),
            level: event.level,
            label: label,
            message: event.message.description,
            metadata: metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
                .mapValues { ReadableText.logged($0.description) }
        )
        TerminalConsole.shared.log(line, isTerminal: true)
    }

    /// - Returns: one line, or several for a message of several, the further ones indented.
    package static func line(
        time: String,
        level: Logger.Level,
        label: String,
        message: String,
        metadata: [String: String]
    ) -> String {
        let indent = "\n" + String(repeating: " ", count: time.count + 1)
        let lines = message.split(separator: "\n", omittingEmptySubsequences: false).map { shown($0) }
        let fields = metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\(value($0.value))" }
        let name = level.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)
        return ([time, name, "\(label):", lines.joined(separator: indent)] + fields).joined(separator: " ")
    }

    private static func value(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "\n" }
        if isPlain { return shown(text[...]) }
        return "\""
            + text.split(separator: "\n", omittingEmptySubsequences: false).map { shown($0) }
            .joined(separator: "\\n") + "\""
    }

    /// Control characters by their number, so that nothing in a log can move the cursor or change colours.
    private static func shown(_ text: Substring) -> String {
        guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            return String(text)
        }
        return text.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control
                ? "\\u{\(String(scalar.value, radix: 16, uppercase: true))}" : String(scalar)
        }.joined()
    }
}
