import GrootCore

/// How full the spool is and what it had to give up.
struct SpoolMetrics: Sendable {
    private let bytes: Gauge
    private let waiting: Gauge
    private let lost: [(counter: Counter, count: @Sendable (SpoolLosses) -> UInt64)]

    init(_ registry: MetricsRegistry) {
        bytes = registry.gauge("groot_agent_spool_bytes", help: "Telemetry on disk.")
        waiting = registry.gauge("groot_agent_spool_waiting", help: "Telemetry entries that are not committed yet.")
        let kinds: [(String, @Sendable (SpoolLosses) -> UInt64)] = [
            ("inference", { $0.inferences }), ("control_sample", { $0.controlSamples }), ("event", { $0.events }),
            ("episode", { $0.episodes }), ("thumbnail", { $0.thumbnails }), ("damaged", { $0.damaged }),
            ("refused", { $0.refused }),
        ]
        lost = kinds.map { kind, count in
            let counter = registry.counter(
                "groot_agent_spool_lost_total",
                help: "Telemetry entries given up since the start, by kind or reason.",
                labels: ["kind": kind]
            )
            return (counter, count)
        }
    }

    func update(_ store: SpoolStore) {
        bytes.set(Double(store.bytes))
        waiting.set(Double(store.waitingCount))
        for series in lost {
            let total = series.count(store.losses)
            series.counter.increment(by: total - min(total, series.counter.count))
        }
    }
}
