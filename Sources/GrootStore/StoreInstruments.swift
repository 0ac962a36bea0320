import GrootCore

/// The store's metrics.
struct StoreInstruments: Sendable {
    let inferences: Counter
    private let duration: DurationHistogram
    private let errors: [StoreError.Code: Counter]

    init(_ metrics: MetricsRegistry) {
        inferences = metrics.counter(
            "groot_gateway_store_inferences_total",
            help: "Inference records committed for the first time."
        )
        duration = metrics.histogram(
            "groot_gateway_store_duration_seconds",
            help: "Store operations that succeeded, from call to commit."
        )
        errors = Dictionary(
            uniqueKeysWithValues: StoreError.Code.allCases.map { code in
                let counter = metrics.counter(
                    "groot_gateway_store_errors_total",
                    help: "Store operations that failed, by code.",
                    labels: ["code": code.rawValue]
                )
                return (code, counter)
            }
        )
    }

    func succeeded(after time: Duration) { duration.record(time) }
    func failed(_ code: StoreError.Code) { errors[code]?.increment() }
}
