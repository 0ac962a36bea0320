import GrootCore
import HTTP2
import Logging
import Synchronization

/// What the event loops of one gateway have in common. Any thread.
final class GatewayShared: Sendable {
    /// What is known of one worker, as the first event loop sees it.
    struct WorkerStatus: Sendable, Equatable {
        var address: Endpoint
        var name: String
        var isUp = false
        var reason = "not reached yet"
        /// Nil until it has described itself.
        var checkpoints: [String]?
    }

    let configuration: GatewayConfiguration
    let metrics: GatewayMetrics
    let logger: Logger
    let onWorkerDescribed: @Sendable (WorkerReport) -> Void
    private let balancer: Mutex<Balancer>
    private let statuses: Mutex<[WorkerStatus]>
    private let limitWarnings = Mutex(RateLimit(every: .seconds(1)))
    private let handshakeFailures = Mutex(RateLimit(every: .seconds(10)))

    init(
        configuration: GatewayConfiguration,
        registry: MetricsRegistry,
        logger: Logger,
        onWorkerDescribed: @escaping @Sendable (WorkerReport) -> Void
    ) {
        self.configuration = configuration
        self.metrics = GatewayMetrics(registry, workers: configuration.workers)
        self.logger = logger
        self.onWorkerDescribed = onWorkerDescribed
        self.balancer = Mutex(Balancer(workers: configuration.workers.count, configuration: configuration.balancer))
        self.statuses = Mutex(configuration.workers.map { WorkerStatus(address: $0, name: "\($0)") })
    }

    var workerStatuses: [WorkerStatus] { statuses.withLock { $0 } }

    /// Nil when at least one worker is up.
    var notReadyReason: String? {
        let statuses = workerStatuses
        if statuses.contains(where: \.isUp) { return nil }
        return "no worker is up: " + statuses.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
    }

    func update(worker index: Int, _ change: (inout WorkerStatus) -> Void) {
        statuses.withLock { change(&$0[index]) }
    }

    /// Counts a TLS handshake of a robot; failures are logged, not more often than every ten seconds.
    func secured(_ result: Result<TLSPeer, HTTP2Error>) {
        switch result {
        case .success: metrics.handshakes.increment()
        case .failure(let error):
            metrics.failedHandshakes.increment()
            guard let suppressed = handshakeFailures.withLock({ $0.admit(at: .now()) }) else { return }
            logger.warning("TLS refused", metadata: ["error": "\(error)", "suppressed": "\(suppressed)"])
        }
    }

    /// Counts a limit that a robot ran into; logged not more often than every second.
    func limitHit(_ limit: HTTP2Limit, _ what: String) {
        metrics.limits[limit]?.increment()
        guard let suppressed = limitWarnings.withLock({ $0.admit(at: .now()) }) else { return }
        logger.warning(
            "limit hit",
            metadata: ["limit": "\(limit.rawValue)", "peer": "\(what)", "suppressed": "\(suppressed)"]
        )
    }

    func noteCertificateExpiry() {
        guard let left = configuration.tls?.timeUntilExpiry(at: .now()) else { return }
        metrics.certificateExpiry.set(left.seconds)
        if left < .zero { logger.error("the certificate has expired; renew it and it is taken up by itself") }
    }

    func withBalancer<Result>(_ body: (inout Balancer) -> Result) -> Result {
        balancer.withLock { body(&$0) }
    }
}
