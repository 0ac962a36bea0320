import GrootCore
import Logging
import Synchronization

/// Says why commands are refused, at most once per second.
///
/// Any thread.
final class RefusalLog: Sendable {
    private let limit = Mutex(RateLimit(every: .seconds(1)))
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func refused(_ reason: String, topic: String, at now: MonotonicInstant) {
        guard let suppressed = limit.withLock({ $0.admit(at: now) }) else { return }
        logger.error(
            "A command is refused",
            metadata: ["topic": "\(topic)", "error": "\(reason)", "suppressed": "\(suppressed)"]
        )
    }
}
