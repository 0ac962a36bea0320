import GrootCore

/// What a worker reports of itself in the `endpoint-load-metrics` trailer (ORCA's text form). Pure.
///
/// Everything is optional; unknown names are ignored. Numbers that make no sense are taken as absent: a worker's
/// report is advice, never a reason to fail a request.
struct WorkerLoad: Sendable, Equatable {
    /// Requests that wait at the worker.
    var queue: Int?
    /// Requests in the running batch.
    var running: Int?
    /// Largest batch.
    var capacity: Int?
    /// Size of the batch that this answer came from.
    var batch: Int?
    /// Seconds that the last batch took.
    var batchSeconds: Double?
    /// Seconds until the running batch ends.
    var leftSeconds: Double?

    /// Nil when the text is not ORCA's text form or says nothing of interest.
    init?(_ text: String) {
        guard text.hasPrefix("TEXT") else { return nil }
        for part in text.dropFirst(4).split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let value = Double(Self.trimmed(pair[1])), value.isFinite, value >= 0,
                value < 1_000_000
            else { continue }
            switch Self.trimmed(pair[0]) {
            case "named_metrics.queue": queue = Int(value)
            case "named_metrics.running": running = Int(value)
            case "named_metrics.batch_capacity": capacity = value >= 1 ? Int(value) : nil
            case "named_metrics.batch": batch = value >= 1 ? Int(value) : nil
            case "named_metrics.batch_ms": batchSeconds = value / 1000
            case "named_metrics.left_ms": leftSeconds = value / 1000
            default: break
            }
        }
        if self == WorkerLoad() { return nil }
    }

    init() {}

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }
}
