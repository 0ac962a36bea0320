import GrootCore
import HTTP2
import Logging
import NIOCore
import Synchronization

/// What the event loops of one gateway have in common: the scheduler, the members, instruments. Any thread.
final class GatewayShared: Sendable {
    typealias WorkerStatus = WorkerMember.Status

    let metrics: GatewayMetrics
    let registry: MetricsRegistry
    let logger: Logger
    let accessLog: AccessLog
    let onWorkerDescribed: @Sendable (WorkerReport) -> Void
    /// What operators may order over the data plane; nil where nobody may.
    let orders: GatewayOrders?
    /// Request bytes kept for a repetition, over all requests.
    let heldBytes = Atomic<Int>(0)
    /// Who has what in hand.
    let participants = Participants()
    /// Bytes of an answer that are kept until it is complete.
    private let answerLimit: Atomic<Int>
    private let scheduler: Mutex<Scheduler>
    private let roster = Mutex<[WorkerMember]>([])
    /// Set once, before the first connection is accepted.
    private let loops = Mutex<[NIOLoopBound<UpstreamPool>]>([])
    private let limitWarnings = Mutex(RateLimit(every: .seconds(1)))
    private let handshakeFailures = Mutex(RateLimit(every: .seconds(10)))

    init(
        configuration: GatewayConfiguration,
        registry: MetricsRegistry,
        logger: Logger,
        orders: GatewayOrders?,
        onWorkerDescribed: @escaping @Sendable (WorkerReport) -> Void
    ) {
        self.registry = registry
        self.metrics = GatewayMetrics(registry)
        self.logger = logger
        self.accessLog = AccessLog(configuration.accessLog, logger: logger, metrics: metrics)
        self.onWorkerDescribed = onWorkerDescribed
        self.orders = orders
        self.answerLimit = Atomic(configuration.heldAnswerLimit)
        self.scheduler = Mutex(Scheduler(configuration: configuration.scheduling, seed: .random(in: 1 ... .max)))
    }

    var heldAnswerLimit: Int { answerLimit.load(ordering: .relaxed) }

    func configured(heldAnswerLimit limit: Int) { answerLimit.store(limit, ordering: .relaxed) }

    // MARK: Members

    var members: [WorkerMember] { roster.withLock { $0 } }
    var workerStatuses: [WorkerStatus] { members.map(\.status) }

    /// Nil when at least one worker is up.
    var notReadyReason: String? {
        let statuses = workerStatuses
        if statuses.contains(where: \.isUp) { return nil }
        guard !statuses.isEmpty else { return "there is no worker: none is listed, found or registered" }
        return "no worker is up: " + statuses.map { "\($0.address): \($0.reason)" }.joined(separator: "; ")
    }

    /// Nil when it is a member already.
    func join(_ endpoint: Endpoint, source: WorkerMember.Source, verifiedAs: String?) -> WorkerMember? {
        roster.withLock { roster in
            guard !roster.contains(where: { $0.endpoint == endpoint }) else { return nil }
            let id = scheduler.withLock { $0.joined(address: "\(endpoint)") }
            let instruments = GatewayMetrics.Worker(registry, address: "\(endpoint)")
            let member = WorkerMember(
                id: id,
                endpoint: endpoint,
                source: source,
                verifiedAs: verifiedAs,
                metrics: instruments
            )
            roster.append(member)
            return member
        }
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

    /// The same for a limit of requests.
    func hit(_ limit: GatewayLimit, _ what: @autoclosure () -> String) {
        metrics.hit(limit)
        guard let suppressed = limitWarnings.withLock({ $0.admit(at: .now()) }) else { return }
        logger.warning(
            "limit hit",
            metadata: ["limit": "\(limit.rawValue)", "peer": "\(what())", "suppressed": "\(suppressed)"]
        )
    }

    func noteCertificateExpiry(_ tls: TLSContextSource?) {
        guard let left = tls?.timeUntilExpiry(at: .now()) else { return }
        metrics.certificateExpiry.set(left.seconds)
        if left < .zero { logger.error("the certificate has expired; renew it and it is taken up by itself") }
    }

    /// Nil when it is no member.
    func leave(_ endpoint: Endpoint) -> WorkerMember? {
        let member = roster.withLock { roster -> WorkerMember? in
            guard let index = roster.firstIndex(where: { $0.endpoint == endpoint }) else { return nil }
            return roster.remove(at: index)
        }
        guard let member else { return nil }
        _ = scheduler.withLock { $0.left(member.id, at: .now()) }
        registry.remove(labels: ["address": "\(endpoint)"])
        return member
    }

    // MARK: Event loops

    func run(on pools: [NIOLoopBound<UpstreamPool>]) {
        loops.withLock { $0 = pools }
    }

    /// Does something on another loop than the caller's.
    func onLoop(_ index: Int, _ body: @escaping @Sendable (UpstreamPool) -> Void) {
        let pool = loops.withLock { $0.indices.contains(index) ? $0[index] : nil }
        guard let pool else { return }
        pool.eventLoop.execute { body(pool.value) }
    }

    func withScheduler<Result>(_ body: (inout Scheduler) -> Result) -> Result {
        scheduler.withLock { body(&$0) }
    }
}
