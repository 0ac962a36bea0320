import GrootCore
import HTTP2
import Logging
import NIOCore

/// One worker (or the control plane) as one event loop sees it: its connection, its health, what it serves.
///
/// Confined to the event loop. The decisions are `HealthMachine`'s; this class connects, checks, sets timers.
final class Upstream {
    enum Kind {
        case worker(WorkerMember)
        case control
    }

    let kind: Kind
    let endpoint: Endpoint
    /// Its certificate's, else as the worker calls itself; its address until it is known.
    var name: String
    /// What is known of what it serves, and when to ask again.
    var descriptions = DescriptionWatch()
    /// Counts connections that were put to use, so that a restarted worker is not taken for the one that failed.
    private(set) var generation = 0
    weak var pool: UpstreamPool?

    let shared: GatewayShared
    private let eventLoop: any EventLoop
    private var machine: HealthMachine
    private(set) var connection: HTTP2Connection?
    private var inUseSince = MonotonicInstant.now()
    /// Nil for the control plane.
    private var spare: SpareConnection?
    private var timer: Scheduled<Void>?
    private(set) var stopped = false
    /// No member any more: what it has in hand finishes, then the connection closes.
    private var isLeaving = false
    /// The connection of this generation is no longer ours to watch: it drains, or we gave it up.
    private var letGo = 0
    private var attempts: [ObjectIdentifier: Attempt] = [:]
    var unreachable = RateLimit(every: .seconds(10))
    var misnamed = RateLimit(every: .seconds(3600))

    init(kind: Kind, endpoint: Endpoint, pool: UpstreamPool?, shared: GatewayShared, eventLoop: any EventLoop) {
        self.kind = kind
        self.endpoint = endpoint
        self.name = "\(endpoint)"
        self.pool = pool
        self.shared = shared
        self.eventLoop = eventLoop
        var health = pool?.configuration.health ?? HealthMachine.Configuration()
        if case .control = kind { health.checks = false }
        self.machine = HealthMachine(configuration: health)
        guard case .worker = kind else { return }
        spare = SpareConnection(eventLoop: eventLoop) { [unowned self] observer in
            var observer = observer
            observer.limitHit = { [shared] in shared.limitHit($0, "worker " + $1) }
            return open(observer)
        } check: { [unowned self] connection in
            checkSpare(connection)
        }
    }

    var member: WorkerMember? {
        if case .worker(let member) = kind { member } else { nil }
    }

    /// The first loop speaks for all: metrics, log, reports.
    var speaks: Bool { pool?.index == 0 }

    /// Why it is down; empty when it is up.
    var downReason: String { machine.reason }
    var isUp: Bool { machine.isUp }
    var canTake: Bool { machine.isUp && connection?.canOpenStream == true }

    func start() {
        execute(machine.started(at: .now()))
    }

    func stop() {
        stopped = true
        timer?.cancel()
        spare?.wentDown()
        connection?.close(.noError, reason: "the gateway stops")
        connection = nil
    }

    /// Closes when nothing is in hand any more.
    func leave() {
        isLeaving = true
        timer?.cancel()
        spare?.wentDown()
        if attempts.isEmpty { stop() }
    }

    /// The scheduler gives it a rest.
    func ejected() {
        member?.metrics.ejections.increment()
        shared.logger.warning("is ejected for its failures", metadata: metadata())
    }

    /// Opens a stream for an attempt, which hears when the worker goes down.
    func open(_ headers: HTTP2Headers, attempt: Attempt) throws(HTTP2Error) -> HTTP2Stream {
        guard let connection else { throw HTTP2Error(.connectionClosed, "\(name) is not connected") }
        let stream = try connection.open(headers: headers, endStream: false, handler: attempt)
        attempts[ObjectIdentifier(attempt)] = attempt
        return stream
    }

    func ended(_ attempt: Attempt) {
        attempts.removeValue(forKey: ObjectIdentifier(attempt))
        if isLeaving, attempts.isEmpty { stop() }
    }

    private func execute(_ actions: [HealthMachine.Action]) {
        for action in actions where !stopped && !isLeaving {
            switch action {
            case .connect: connect()
            case .wake(let instant): wake(at: instant)
            case .check: check()
            case .disconnect:
                let old = connection
                letGo = generation
                connection = nil
                old?.close(.noError, reason: "the worker answers no health checks")
            case .up: cameUp()
            case .down(let reason): wentDown(reason)
            }
        }
        if case .control = kind { pool?.controlChanged() }
    }

    private var limits: HTTP2Limits { pool?.configuration.workerHTTP2 ?? HTTP2Limits() }
    private var health: HealthMachine.Configuration { machine.configuration }

    private func open(_ observer: HTTP2Connection.Observer) -> HTTP2Connection {
        HTTP2Client.connect(
            to: endpoint,
            on: eventLoop,
            limits: limits,
            tls: member == nil ? nil : pool?.configuration.workerTLS,
            serverName: member?.verifiedAs,
            timeout: health.connectTimeout,
            observer: observer
        )
    }

    /// What is heard of the connection with this number, as long as it is the one in use.
    private func observer(_ number: Int) -> HTTP2Connection.Observer {
        var observer = HTTP2Connection.Observer()
        observer.ready = { [weak self] in
            guard let self, generation == number, let connection else { return }
            if let problem = Self.problem(connection.peer) {
                connection.close(.noError, reason: problem)
                return
            }
            inUseSince = .now()
            execute(machine.connected(at: .now()))
        }
        observer.goAway = { [weak self] in
            guard let self, generation == number, connection != nil, !stopped else { return }
            wentAway()
        }
        observer.limitHit = { [shared] in shared.limitHit($0, "worker " + $1) }
        observer.closed = { [weak self] reason in
            guard let self, generation == number, letGo != number, !stopped else { return }
            connection = nil
            lost(reason)
        }
        return observer
    }

    private static func problem(_ peer: TLSPeer?) -> String? {
        guard let identity = peer?.identity, identity.kind != .worker else { return nil }
        return "its certificate is that of \(identity), not of a worker"
    }

    private func connect() {
        generation += 1
        let current = generation
        let opened = open(observer(current))
        guard !opened.isClosed else { return }
        connection = opened
        // A peer that accepts and stays silent is no worker.
        wake(after: health.connectTimeout + health.checkTimeout) { upstream in
            guard upstream.generation == current, let connection = upstream.connection, !connection.isReady else {
                return
            }
            upstream.letGo = current
            upstream.connection = nil
            connection.close(.settingsTimeout, reason: "no HTTP/2 answer")
            upstream.lost("it accepts connections but does not speak HTTP/2")
        }
    }

    /// GOAWAY: streams in flight finish on the old connection, which closes by itself; a spare takes its place at once.
    private func wentAway() {
        let now = MonotonicInstant.now()
        let life = now - inUseSince
        letGo = generation
        connection = nil
        let serves = machine.isUp && !isLeaving && life >= health.shortestLife
        guard serves, let next = spare?.take() else {
            execute(machine.connectionWentAway("it is shutting down (GOAWAY)", after: life, at: now))
            return
        }
        generation += 1
        inUseSince = now
        next.observer = observer(generation)
        connection = next
        limitStreams()
        execute(machine.connectionReplaced(at: now))
    }

    /// A spare is as good as the connection in use when the worker shows the same kind of certificate and serves.
    private func checkSpare(_ connection: HTTP2Connection) -> EventLoopFuture<Bool> {
        guard Self.problem(connection.peer) == nil else { return eventLoop.makeSucceededFuture(false) }
        return WorkerCalls.check(connection, authority: "\(endpoint)", timeout: health.checkTimeout)
            .map { WorkerCalls.health(of: $0) == nil }
    }

    private func lost(_ reason: String) {
        if speaks, !machine.isUp, let suppressed = unreachable.admit(at: .now()) {
            shared.logger.warning(
                "cannot be reached; trying again",
                metadata: metadata(["error": "\(reason)", "suppressed": "\(suppressed)"])
            )
        }
        spare?.wentDown()
        execute(machine.connectionLost(reason, at: .now()))
        if speaks { member?.update { $0.reason = machine.reason } }
    }

    private func wake(at instant: MonotonicInstant) {
        wake(after: max(.zero, instant - .now())) { $0.execute($0.machine.timerFired(at: .now())) }
    }

    private func wake(after delay: Duration, _ body: @escaping (Upstream) -> Void) {
        timer?.cancel()
        timer = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay.nanoseconds)) { [weak self] in
            if let self, !stopped { body(self) }
        }
    }

    private func check() {
        guard let connection else { return }
        let current = generation
        WorkerCalls.check(connection, authority: "\(endpoint)", timeout: health.checkTimeout)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, generation == current, !stopped, self.connection != nil else { return }
                switch result.map(WorkerCalls.health(of:)) {
                case .success(nil):
                    execute(machine.checkSucceeded(at: .now()))
                    if case .success(let response) = result { checked(response) }
                case .success(let problem?): execute(machine.checkFailed(problem, at: .now()))
                case .failure(let error): execute(machine.checkFailed("health check failed: \(error)", at: .now()))
                }
            }
    }

    private func cameUp() {
        named(nil)
        if speaks { shared.logger.info("is up", metadata: metadata()) }
        guard let member, let pool else { return }
        if speaks {
            member.metrics.up.set(1)
            member.update {
                $0.isUp = true
                $0.reason = ""
            }
        }
        limitStreams()
        pool.change { scheduler, now in scheduler.reached(member.id, byLoop: pool.index, at: now) }
        descriptions.connected()
        describe()
        spare?.cameUp()
    }

    /// Health checks and descriptions need streams too.
    private func limitStreams() {
        guard let member, let streams = connection?.streamLimit else { return }
        _ = shared.withScheduler { $0.limited(member.id, to: streams - 2, at: .now()) }
    }

    private func wentDown(_ reason: String) {
        if speaks { shared.logger.warning("is down", metadata: metadata(["error": "\(reason)"])) }
        guard let member, let pool else { return }
        if speaks {
            member.metrics.up.set(0)
            member.update {
                $0.isUp = false
                $0.reason = reason
            }
        }
        pool.change { scheduler, now in scheduler.lost(member.id, byLoop: pool.index, at: now) }
        // After a GOAWAY the connection is nil, and the worker still answers what it has.
        guard connection != nil else { return }
        spare?.wentDown()
        for attempt in Array(attempts.values) { attempt.workerWentDown() }
    }

    func metadata(_ more: Logger.Metadata = [:]) -> Logger.Metadata {
        var metadata = more
        metadata["worker"] = member == nil ? "control plane" : "\(name)"
        metadata["peer"] = "\(endpoint)"
        return metadata
    }
}
