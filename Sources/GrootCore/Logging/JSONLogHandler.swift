import Foundation
package import Logging

/// Writes one JSON object per line to standard error: time, level, label, message, metadata (each value clipped).
///
/// Metadata keys come from one list: `robot`, `worker`, `checkpoint`, `episode`, `request_id`, `step`,
/// `peer`, `topic`, `error`, `suppressed`, `setting`, and those of the access log (docs/gateway-metrics.md).
package struct JSONLogHandler: LogHandler {
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
        var fields = [
            "time": Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)),
            "level": event.level.rawValue,
            "label": label,
            "message": event.message.description,
        ]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            fields[key] = ReadableText.logged(value.description)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Strings always encode; a log line that cannot be written is dropped rather than stopping the process.
        guard let line = try? encoder.encode(fields) else { return }
        TerminalConsole.shared.log(String(decoding: line, as: UTF8.self), isTerminal: false)
    }
}
