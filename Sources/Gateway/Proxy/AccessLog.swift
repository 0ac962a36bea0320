import GrootCore
import Logging
import Synchronization

/// One line per request, as far as its budget reaches. Any thread.
///
/// What went wrong is written first; of what went well a share. Lines beyond the rate are counted, never queued.
final class AccessLog: Sendable {
    struct Configuration: Sendable, Equatable {
        /// Share of the good answers that are written (`access-log-sample`), 0 to 1.
        var sample = 0.0
        /// Lines per second at most (`access-log-rate`); 0 switches the log off.
        var rate = 20
    }

    /// What there is to say of one request.
    struct Entry {
        var requestID: String?
        var robot: String?
        var checkpoint: String?
        var worker: String?
        var traceparent: String?
        var status: Int
        var message: String?
        var attempts: Int
        var waited: Duration
        var took: Duration
        var runway: Duration?
        var bytesIn: Int
        var bytesOut: Int
    }

    private struct State {
        var tokens: Double
        var refilled: MonotonicInstant
        var sampled = 0.0
        var dropped = 0
    }

    private let configuration: Mutex<Configuration>
    private let state: Mutex<State>
    private let logger: Logger
    private let metrics: GatewayMetrics

    init(_ configuration: Configuration, logger: Logger, metrics: GatewayMetrics) {
        self.configuration = Mutex(configuration)
        self.logger = logger
        self.metrics = metrics
        state = Mutex(State(tokens: Double(configuration.rate), refilled: .now()))
    }

    func configure(_ new: Configuration) {
        configuration.withLock { $0 = new }
    }

    /// Whether a request that ends with this status is to be written; asked before the entry is made.
    func admits(status: Int, at now: MonotonicInstant) -> Bool {
        let configuration = configuration.withLock { $0 }
        guard configuration.rate > 0, status != 0 || configuration.sample > 0 else { return false }
        let isAdmitted = state.withLock { state -> Bool? in
            if status == 0 {
                state.sampled += configuration.sample
                guard state.sampled >= 1 else { return nil }
                state.sampled -= 1
            }
            let rate = Double(configuration.rate)
            state.tokens = min(rate, state.tokens + rate * max(0, (now - state.refilled).seconds))
            state.refilled = now
            guard state.tokens >= 1 else {
                state.dropped += 1
                return false
            }
            state.tokens -= 1
            return true
        }
        if isAdmitted == false { metrics.accessLogDropped.increment() }
        return isAdmitted ?? false
    }

    func write(_ entry: Entry) {
        let suppressed = state.withLock { state in
            defer { state.dropped = 0 }
            return state.dropped
        }
        var metadata: Logger.Metadata = [
            "status": "\(entry.status)", "attempts": "\(entry.attempts)", "waited_ms": "\(entry.waited.milliseconds)",
            "took_ms": "\(entry.took.milliseconds)", "bytes_in": "\(entry.bytesIn)", "bytes_out": "\(entry.bytesOut)",
        ]
        metadata["request_id"] = entry.requestID.map { "\($0)" }
        metadata["robot"] = entry.robot.map { "\($0)" }
        metadata["checkpoint"] = entry.checkpoint.map { "\($0)" }
        metadata["worker"] = entry.worker.map { "\($0)" }
        metadata["traceparent"] = entry.traceparent.map { "\($0)" }
        // As the worker encoded it.
        metadata["error"] = entry.message.map { "\(ReadableText.decoded($0))" }
        metadata["runway_ms"] = entry.runway.map { "\($0.milliseconds)" }
        if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
        logger.notice("request", metadata: metadata)
    }
}
