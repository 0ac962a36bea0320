import GrootCore

/// The store's metrics.
struct StoreInstruments: Sendable {
    private let rows: [TelemetryTable: Counter]
    private let repeated: Counter
    private let partitions: [String: Counter]
    private let duration: DurationHistogram
    private let errors: [StoreError.Code: Counter]

    init(_ metrics: MetricsRegistry) {
        rows = Dictionary(
            uniqueKeysWithValues: TelemetryTable.allCases.map { table in
                let counter = metrics.counter(
                    "groot_gateway_store_rows_total",
                    help: "Telemetry records committed for the first time, by table.",
                    labels: ["table": table.rawValue]
                )
                return (table, counter)
            }
        )
        repeated = metrics.counter(
            "groot_gateway_store_repeated_rows_total",
            help: "Telemetry records that an agent sent again after they were committed."
        )
        partitions = Dictionary(
            uniqueKeysWithValues: ["created", "dropped"].map { change in
                let counter = metrics.counter(
                    "groot_gateway_store_partitions_total",
                    help: "Partitions of a day that this gateway made ahead, or dropped because retention let them go.",
                    labels: ["change": change]
                )
                return (change, counter)
            }
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

    func committed(_ table: TelemetryTable, new: Int, repeated count: Int) {
        rows[table]?.increment(by: UInt64(new))
        repeated.increment(by: UInt64(count))
    }

    func changed(_ partitions: [PartitionChange]) {
        for change in partitions { self.partitions[change.change]?.increment() }
    }

    func succeeded(after time: Duration) { duration.record(time) }
    func failed(_ code: StoreError.Code) { errors[code]?.increment() }
}
