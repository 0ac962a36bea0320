package import GrootCore

/// The agent's instruments; updated by the episode runner from snapshots, never by the control thread.
package struct AgentMetrics: Sendable {
    private let runway: Gauge
    private let ticks: Counter
    private let starved: Counter
    private let missed: Counter
    private let limited: Counter
    private let noisy: Counter
    private let chunks: Counter
    private let failed: Counter
    private let spooled: Gauge
    private let jitter: DurationHistogram
    private let registry: MetricsRegistry

    package init(_ registry: MetricsRegistry) {
        self.registry = registry
        runway = registry.gauge("groot_agent_runway_seconds", help: "Unexecuted motion time; negative while starved.")
        ticks = registry.counter("groot_agent_ticks_total", help: "Control ticks with a published action.")
        starved = registry.counter("groot_agent_starved_ticks_total", help: "Control ticks without an action.")
        missed = registry.counter("groot_agent_missed_cycles_total", help: "Control cycles that never ran.")
        limited = registry.counter(
            "groot_agent_limited_ticks_total",
            help: "Actions that the safety gate changed by more than noise."
        )
        noisy = registry.counter(
            "groot_agent_position_noise_ticks_total",
            help: "Targets beyond a position limit by no more than the profile's position_noise_rad, clamped."
        )
        chunks = registry.counter("groot_agent_chunks_total", help: "Chunks merged into the plan.")
        failed = registry.counter("groot_agent_failed_inferences_total", help: "Requests without an applied chunk.")
        jitter = registry.histogram(
            "groot_agent_tick_lateness_seconds",
            help: "Distance of a control tick from its deadline.",
            bounds: [0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]
        )
        spooled = registry.gauge("groot_agent_spool_entries", help: "Telemetry entries that are not committed yet.")
    }

    package func update(runway current: Duration, spool waiting: Int) {
        runway.set(current.seconds)
        spooled.set(Double(waiting))
    }

    package func tick(late: Duration) {
        jitter.record(max(.zero, late))
    }

    package func finished(_ report: EpisodeReport) {
        ticks.increment(by: report.counters.ticks)
        starved.increment(by: report.counters.starvedTicks)
        missed.increment(by: report.counters.missedCycles)
        limited.increment(by: report.counters.limitedTicks)
        noisy.increment(by: report.counters.positionNoise)
        chunks.increment(by: report.counters.chunks)
        failed.increment(by: report.tally.failed)
        let latency = registry.histogram("groot_agent_latency_seconds", help: "Capture until the chunk was merged.")
        for duration in report.tally.latencies { latency.record(duration) }
        registry.counter(
            "groot_agent_episodes_total",
            help: "Finished episodes by outcome.",
            labels: ["outcome": report.verdict.outcome.rawValue]
        ).increment()
    }
}
