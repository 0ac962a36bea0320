package import GrootCore

/// The load of one checkpoint in ORCA's text form (`docs/wire-protocol.md`).
package enum LoadTrailer {
    package static func text(_ load: Batcher.Load, at now: MonotonicInstant) -> String {
        let left = load.finish.map { max(.zero, $0 - now) } ?? .zero
        let metrics: [(String, String)] = [
            ("queue", "\(load.queue)"), ("running", "\(load.running)"), ("batch_capacity", "\(load.batchCapacity)"),
            ("batch_ms", tenths(load.batch)), ("left_ms", tenths(left)),
            ("batch", "\(load.batchSize)"),
        ]
        return "TEXT " + metrics.map { "named_metrics.\($0.0)=\($0.1)" }.joined(separator: ",")
    }

    /// Milliseconds with one digit behind the point, whatever the locale.
    private static func tenths(_ duration: Duration) -> String {
        let tenths = duration.nanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}
