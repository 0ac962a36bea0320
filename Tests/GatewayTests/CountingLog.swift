import Logging
import Synchronization

/// A logger that counts the lines that say one thing.
final class CountingLog: Sendable {
    private let text: String
    private let seen = Mutex(0)

    init(_ text: String) {
        self.text = text
    }

    var count: Int { seen.withLock { $0 } }

    var logger: Logger {
        Logger(label: "counting") { [self] _ in Handler(log: self) }
    }

    private struct Handler: LogHandler {
        let log: CountingLog
        var logLevel = Logger.Level.info
        var metadata = Logger.Metadata()

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            if event.message.description.contains(log.text) { log.seen.withLock { $0 += 1 } }
        }
    }
}
