import GrootCore
import HTTP2

/// The data plane's instruments. Any thread.
struct GatewayMetrics: Sendable {
    /// One worker's instruments; the label is its address, from the closed set of `--workers`.
    struct Worker: Sendable {
        /// How an attempt ended.
        let ok: Counter
        let failed: Counter
        let lost: Counter
        let abandoned: Counter
        let inFlight: Gauge
        let service: Gauge
        let up: Gauge
        let answer: DurationHistogram

        init(_ registry: MetricsRegistry, worker: String) {
            func outcome(_ outcome: String) -> Counter {
                registry.counter(
                    "groot_gateway_attempts_total",
                    help: "Requests sent to a worker, by how they ended.",
                    labels: ["worker": worker, "outcome": outcome]
                )
            }
            ok = outcome("ok")
            failed = outcome("error_status")
            lost = outcome("lost")
            abandoned = outcome("abandoned")
            let labels = ["worker": worker]
            inFlight = registry.gauge(
                "groot_gateway_in_flight_requests",
                help: "Requests that the worker has not finished.",
                labels: labels
            )
            service = registry.gauge(
                "groot_gateway_service_seconds",
                help: "Moving average of the worker's service time, as the balancer sees it.",
                labels: labels
            )
            up = registry.gauge("groot_gateway_worker_up", help: "1 when the worker gets requests.", labels: labels)
            answer = registry.histogram(
                "groot_gateway_answer_seconds",
                help: "From the last request byte handed to the worker until its response headers.",
                labels: labels
            )
        }
    }

    let workers: [Worker]
    let retries: Counter
    let noWorker: Counter
    let held: Counter
    let refused: Counter
    let deadline: Counter
    let cancelled: Counter
    let bytesIn: Counter
    let bytesOut: Counter
    let requestTime: DurationHistogram
    let handshakes: Counter
    let failedHandshakes: Counter
    let certificateExpiry: Gauge
    let limits: [HTTP2Limit: Counter]
    let bodySize: Counter

    init(_ registry: MetricsRegistry, workers: [Endpoint]) {
        self.workers = workers.map { Worker(registry, worker: "\($0)") }
        retries = registry.counter(
            "groot_gateway_retries_total",
            help: "Requests repeated on a worker after an earlier one failed them."
        )
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
        func limit(_ name: String) -> Counter {
            registry.counter(
                "groot_gateway_limits_hit_total",
                help: "Limits that robots ran into, by limiter.",
                labels: ["limit": name]
            )
        }
        limits = Dictionary(uniqueKeysWithValues: HTTP2Limit.allCases.map { ($0, limit($0.rawValue)) })
        bodySize = limit("body-size")
        certificateExpiry = registry.gauge(
            "groot_gateway_certificate_expiry_seconds",
            help: "Time until the gateway's certificate expires; 0 without TLS."
        )
        requestTime = registry.histogram(
            "groot_gateway_request_seconds",
            help: "From request headers until the stream to the robot is closed."
        )
    }
}
