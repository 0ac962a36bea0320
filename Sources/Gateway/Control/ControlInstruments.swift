import GrootCore

/// The control plane's metrics.
struct ControlInstruments: Sendable {
    private let repaired: [RepairedField: Counter]
    private let refusals: [ControlAdmission.Limit: Counter]
    private let open: [ControlAdmission.Kind: Gauge]
    private let forbidden: Counter
    private let waitingWorkers: Gauge

    init(_ metrics: MetricsRegistry) {
        repaired = Dictionary(
            uniqueKeysWithValues: RepairedField.allCases.map { field in
                let counter = metrics.counter(
                    "groot_gateway_control_repaired_fields_total",
                    help:
                        "Fields for people that were cleaned, clipped or corrected before they were stored, by field.",
                    labels: ["field": field.rawValue]
                )
                return (field, counter)
            }
        )
        refusals = Dictionary(
            uniqueKeysWithValues: ControlAdmission.Limit.allCases.map { limit in
                let counter = metrics.counter(
                    "groot_gateway_control_refused_total",
                    help:
                        "Control-plane calls refused because an identity, or all together, had their share, by limit.",
                    labels: ["limit": limit.rawValue]
                )
                return (limit, counter)
            }
        )
        open = Dictionary(
            uniqueKeysWithValues: ControlAdmission.Kind.allCases.map { kind in
                let gauge = metrics.gauge(
                    "groot_gateway_control_calls",
                    help: "Control-plane calls that are open, by kind.",
                    labels: ["kind": "\(kind)"]
                )
                return (kind, gauge)
            }
        )
        forbidden = metrics.counter(
            "groot_gateway_control_forbidden_total",
            help: "Control-plane calls refused because the certificate does not allow what the body says."
        )
        waitingWorkers = metrics.gauge(
            "groot_gateway_control_workers_unsaved",
            help: "Workers whose description waits for the database."
        )
    }

    func repaired(_ repairs: [RepairedField: Int]) {
        for (field, count) in repairs { repaired[field]?.increment(by: UInt64(count)) }
    }

    func refused(_ limit: ControlAdmission.Limit) { refusals[limit]?.increment() }
    func open(_ kind: ControlAdmission.Kind, _ count: Int) { open[kind]?.set(Double(count)) }
    func forbade() { forbidden.increment() }
    func waiting(_ workers: Int) { waitingWorkers.set(Double(workers)) }
}
