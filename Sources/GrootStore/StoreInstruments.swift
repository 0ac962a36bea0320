import GrootCore

/// Why a gateway closed an episode.
enum EpisodeClosure: String, Sendable, CaseIterable {
    /// The agent registered a later start.
    case restarted
    /// Nothing was heard of it for `episodeSilence`.
    case silent
}

/// The store's metrics.
struct StoreInstruments: Sendable {
    private let rows: [TelemetryTable: Counter]
    private let repeated: Counter
    private let partitions: [String: Counter]
    private let duration: DurationHistogram
    private let errors: [StoreError.Code: Counter]
    private let faults: [StoreFault: Gauge]
    private let closedEpisodes: [EpisodeClosure: Counter]
    private let closedGaps: Counter
    private let quarantined: Counter

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
        faults = Dictionary(
            uniqueKeysWithValues: StoreFault.allCases.map { fault in
                let gauge = metrics.gauge(
                    "groot_gateway_store_fault",
                    help: "1 for what keeps the database from being used, by fault; all 0 while it is used.",
                    labels: ["fault": fault.rawValue]
                )
                return (fault, gauge)
            }
        )
        closedEpisodes = Dictionary(
            uniqueKeysWithValues: EpisodeClosure.allCases.map { reason in
                let counter = metrics.counter(
                    "groot_gateway_store_closed_episodes_total",
                    help:
                        "Episodes that the gateway closed as aborted because their agent never ended them, by reason.",
                    labels: ["reason": reason.rawValue]
                )
                return (reason, counter)
            }
        )
        closedGaps = metrics.counter(
            "groot_gateway_store_closed_gaps_total",
            help: "Reports whose boot had so many gaps in its sequences that the oldest were closed."
        )
        quarantined = metrics.counter(
            "groot_gateway_store_quarantined_total",
            help: "Records that could not be stored as what they are and went into the table quarantine."
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

    func says(_ current: StoreFault?) {
        for (fault, gauge) in faults { gauge.set(fault == current ? 1 : 0) }
    }

    func closed(_ count: Int, because reason: EpisodeClosure) {
        closedEpisodes[reason]?.increment(by: UInt64(count))
    }

    func closedGap() { closedGaps.increment() }
    func quarantined(_ count: Int) { quarantined.increment(by: UInt64(count)) }
    func succeeded(after time: Duration) { duration.record(time) }
    func failed(_ code: StoreError.Code) { errors[code]?.increment() }
}
