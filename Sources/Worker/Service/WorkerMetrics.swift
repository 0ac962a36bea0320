package import GrootCore

/// The worker's instruments, made once.
package struct WorkerMetrics: Sendable {
    package let registry: MetricsRegistry
    package let waiting: Gauge
    package let residentBytes: Gauge

    private let phases: [(ServingState.Phase, Gauge)]
    private let rateMismatches: Counter
    private let answered: Counter
    private let failed: [WorkerError.Code: Counter]
    private let batches: [Counter]
    private let stages: [Stage: DurationHistogram]

    package enum Stage: String, Sendable, CaseIterable {
        case queue, decode, preprocess, infer, postprocess
        /// From the decoded request to the finished answer.
        case total
    }

    package init(registry: MetricsRegistry, maxBatch: Int) {
        self.registry = registry
        waiting = registry.gauge("groot_worker_waiting_requests", help: "Requests that wait for a batch.")
        residentBytes = registry.gauge(
            "groot_worker_resident_bytes",
            help: "Memory of the checkpoints that are loaded, as their runtimes estimate it."
        )
        rateMismatches = registry.counter(
            "groot_worker_rate_mismatches_total",
            help: "Answers to robots that execute chunks at another rate than the checkpoint was made for."
        )
        phases = ServingState.Phase.allCases.map { phase in
            let gauge = registry.gauge(
                "groot_worker_phase",
                help: "1 for the phase that the worker is in.",
                labels: ["phase": phase.rawValue]
            )
            return (phase, gauge)
        }
        func outcome(_ label: String) -> Counter {
            registry.counter(
                "groot_worker_requests_total",
                help: "Infer calls by outcome.",
                labels: ["outcome": label]
            )
        }
        answered = outcome("answered")
        failed = Dictionary(uniqueKeysWithValues: WorkerError.Code.allCases.map { ($0, outcome($0.rawValue)) })
        batches = (1...maxBatch).map { size in
            registry.counter(
                "groot_worker_batches_total",
                help: "Inferences by the number of requests that shared them.",
                labels: ["size": "\(size)"]
            )
        }
        stages = Dictionary(
            uniqueKeysWithValues: Stage.allCases.map { stage in
                let histogram = registry.histogram(
                    "groot_worker_stage_seconds",
                    help: "Time of one request in each stage.",
                    labels: ["stage": stage.rawValue]
                )
                return (stage, histogram)
            }
        )
    }

    package func entered(_ phase: ServingState.Phase) {
        for (other, gauge) in phases { gauge.set(other == phase ? 1 : 0) }
    }

    package func rateDiffered() { rateMismatches.increment() }

    package func requestAnswered() { answered.increment() }

    package func requestFailed(_ code: WorkerError.Code) { failed[code]?.increment() }

    package func batchStarted(size: Int) {
        if batches.indices.contains(size - 1) { batches[size - 1].increment() }
    }

    package func record(_ duration: Duration, in stage: Stage) { stages[stage]?.record(duration) }
}
