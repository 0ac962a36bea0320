import GrootCore
import HTTP2
import Synchronization

/// The data plane's instruments; docs/gateway-metrics.md lists them. Any thread.
final class GatewayMetrics: Sendable {
    /// One worker's instruments. `address` tells them apart, `worker` is the name that it has everywhere, empty until it is
    /// known; they go when the worker leaves.
    final class Worker: Sendable {
        private let registry: MetricsRegistry
        private let address: String
        private let known = Mutex("")

        /// How an attempt ended.
        let ok: Counter
        let failed: Counter
        let lost: Counter
        let refused: Counter
        let abandoned: Counter
        let unseen: Counter
        let misplaced: Counter
        let ejections: Counter
        let inFlight: Gauge
        let service: Gauge
        let up: Gauge
        let answer: DurationHistogram

        init(_ registry: MetricsRegistry, address: String) {
            self.registry = registry
            self.address = address
            let labels = ["worker": "", "address": address]
            func outcome(_ outcome: String) -> Counter {
                registry.counter(
                    "groot_gateway_attempts_total",
                    help: "Requests sent to a worker, by how they ended.",
                    labels: labels.merging(["outcome": outcome]) { $1 }
                )
            }
            ok = outcome("ok")
            failed = outcome("error_status")
            lost = outcome("lost")
            refused = outcome("refused")
            abandoned = outcome("abandoned")
            unseen = outcome("unseen")
            misplaced = outcome("misplaced")
            ejections = registry.counter(
                "groot_gateway_ejections_total",
                help: "Times that the worker was ejected for failures.",
                labels: labels
            )
            inFlight = registry.gauge(
                "groot_gateway_in_flight_requests",
                help: "Requests that the worker has not finished.",
                labels: labels
            )
            service = registry.gauge(
                "groot_gateway_service_seconds",
                help: "What the scheduler expects of a batch of one.",
                labels: labels
            )
            up = registry.gauge("groot_gateway_worker_up", help: "1 when the worker gets requests.", labels: labels)
            answer = registry.histogram(
                "groot_gateway_answer_seconds",
                help: "From the last request byte handed to the worker until its response headers.",
                labels: labels
            )
        }

        /// The label that its series carry.
        var name: String { known.withLock { $0 } }

        /// Its series go on under this name.
        func named(_ name: String) {
            known.withLock { known in
                registry.relabel(["address": address, "worker": known], "worker", to: name)
                known = name
            }
        }
    }

    /// Requests of one class of robots (`groot-robot-class`): at most so many classes, the rest is "other".
    final class RobotClass: Sendable {
        let requests: Counter
        let dry: Counter
        let time: DurationHistogram

        init(_ registry: MetricsRegistry, name: String) {
            let labels = ["class": name]
            requests = registry.counter(
                "groot_gateway_robot_requests_total",
                help: "Observations that arrived, by class of robot.",
                labels: labels
            )
            dry = registry.counter(
                "groot_gateway_robot_dry_total",
                help: "Observations of robots that had no motion left, by class of robot.",
                labels: labels
            )
            time = registry.histogram(
                "groot_gateway_robot_answer_seconds",
                help: "From request headers until the answer is complete, by class of robot.",
                labels: labels
            )
        }
    }

    /// Seconds that would be left when the answer is expected, from a second too late to five in time.
    static let slackBounds = [-5, -2, -1, -0.5, -0.2, -0.1, -0.05, 0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    static let classLimit = 16

    let dispatched: Counter
    let queued: Counter
    let superseded: Counter
    let shed: Counter
    let hedges: Counter
    let overdue: Counter
    let hedgesWon: Counter
    let retries: Counter
    let noWorker: Counter
    let held: Counter
    let refused: Counter
    let deadline: Counter
    let cancelled: Counter
    let bytesIn: Counter
    let bytesOut: Counter
    let heldBytes: Gauge
    let waiting: Gauge
    let requestTime: DurationHistogram
    let queueTime: DurationHistogram
    let slack: DurationHistogram
    let accessLogDropped: Counter
    private let registry: MetricsRegistry
    /// Those seen so far.
    private let classes = Mutex<[String: RobotClass]>([:])
    let handshakes: Counter
    let failedHandshakes: Counter
    let certificateExpiry: Gauge
    let limits: [HTTP2Limit: Counter]
    private let ownLimits: [GatewayLimit: Counter]

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        func decision(_ decision: String) -> Counter {
            registry.counter(
                "groot_gateway_decisions_total",
                help: "What the scheduler decided for requests, by decision.",
                labels: ["decision": decision]
            )
        }
        dispatched = decision("dispatched")
        queued = decision("queued")
        superseded = decision("superseded")
        shed = decision("shed")
        hedges = decision("hedged")
        overdue = decision("overdue")
        hedgesWon = registry.counter(
            "groot_gateway_hedges_won_total",
            help: "Hedges that answered before the first attempt did."
        )
        retries = registry.counter(
            "groot_gateway_retries_total",
            help: "Requests repeated on a worker after an earlier one failed them."
        )
        func limit(_ name: String) -> Counter {
            registry.counter(
                "groot_gateway_limits_hit_total",
                help: "Limits that requests and robots ran into, by limiter.",
                labels: ["limit": name]
            )
        }
        noWorker = registry.counter(
            "groot_gateway_no_worker_total",
            help: "Requests answered UNAVAILABLE because no worker came up in time."
        )
        held = registry.counter("groot_gateway_held_total", help: "Requests that had to wait for a worker to come up.")
        refused = registry.counter(
            "groot_gateway_refused_total",
            help: "Requests that the gateway itself refused as malformed or unroutable."
        )
        deadline = registry.counter("groot_gateway_deadline_total", help: "Requests whose deadline passed.")
        cancelled = registry.counter("groot_gateway_cancelled_total", help: "Requests that the client gave up.")
        bytesIn = registry.counter("groot_gateway_received_bytes_total", help: "Request body bytes from robots.")
        bytesOut = registry.counter("groot_gateway_sent_bytes_total", help: "Response body bytes to robots.")
        func handshakes(_ outcome: String) -> Counter {
            registry.counter(
                "groot_gateway_tls_handshakes_total",
                help: "TLS handshakes of robots, by how they ended.",
                labels: ["outcome": outcome]
            )
        }
        self.handshakes = handshakes("ok")
        failedHandshakes = handshakes("failed")
        limits = Dictionary(uniqueKeysWithValues: HTTP2Limit.allCases.map { ($0, limit($0.rawValue)) })
        ownLimits = Dictionary(uniqueKeysWithValues: GatewayLimit.allCases.map { ($0, limit($0.rawValue)) })
        certificateExpiry = registry.gauge(
            "groot_gateway_certificate_expiry_seconds",
            help: "Time until the gateway's certificate expires; 0 without TLS."
        )
        heldBytes = registry.gauge("groot_gateway_held_bytes", help: "Request bytes kept for a repetition.")
        waiting = registry.gauge("groot_gateway_waiting_requests", help: "Requests in the central waiting queue.")
        requestTime = registry.histogram(
            "groot_gateway_request_seconds",
            help: "From request headers until the stream to the robot is closed."
        )
        queueTime = registry.histogram(
            "groot_gateway_queue_seconds",
            help: "Time in the central waiting queue, of requests that were given to a worker."
        )
        slack = registry.histogram(
            "groot_gateway_slack_seconds",
            help: "Motion that the robot should have left when the answer is expected, at dispatch; negative: none.",
            bounds: Self.slackBounds
        )
        accessLogDropped = registry.counter(
            "groot_gateway_access_log_dropped_total",
            help: "Lines that the access log's rate did not admit."
        )
    }

    func hit(_ limit: GatewayLimit) { ownLimits[limit]?.increment() }

    /// The instruments of a class of robots; robots that name none are "default".
    func robotClass(_ name: String?) -> RobotClass {
        classes.withLock { known in
            var name = name ?? "default"
            if let found = known[name] { return found }
            if known.count >= Self.classLimit || name.utf8.count > 64 { name = "other" }
            let instruments = known[name] ?? RobotClass(registry, name: name)
            known[name] = instruments
            return instruments
        }
    }
}
