import GrootAPI
import GrootCore
import HTTP2
import Logging
import NIOCore

/// One worker (or the control plane) as one event loop sees it: its connection, its health, what it serves.
///
/// Confined to the event loop. The decisions are `HealthMachine`'s; this class connects, checks, sets timers.
final class Upstream {
    enum Kind: Equatable {
        case worker(index: Int)
        case control
    }

    let kind: Kind
    let endpoint: Endpoint
    /// As the worker calls itself; its address until it has said so.
    private(set) var name: String
    /// Nil until the worker has described itself.
    private(set) var checkpoints: [String]?
    /// Counts connections, so that a restarted worker is not taken for the one that failed.
    private(set) var generation = 0
    /// Something that requests in waiting want to know.
    var changed: (() -> Void)?

    private let shared: GatewayShared
    private let eventLoop: any EventLoop
    /// The first loop speaks for all: metrics, log, reports.
    private let speaks: Bool
    private var machine: HealthMachine
    private var connection: HTTP2Connection?
    private var timer: Scheduled<Void>?
    private var stopped = false
    /// The connection of this generation is no longer ours to watch: it drains, or we gave it up.
    private var letGo = 0
    private var describing = false
    private var attempts: [ObjectIdentifier: Attempt] = [:]
    private var unreachable = RateLimit(every: .seconds(10))

    init(kind: Kind, endpoint: Endpoint, shared: GatewayShared, eventLoop: any EventLoop, speaks: Bool) {
        self.kind = kind
        self.endpoint = endpoint
        self.name = "\(endpoint)"
        self.shared = shared
        self.eventLoop = eventLoop
        self.speaks = speaks
        var health = shared.configuration.health
        if kind == .control { health.checks = false }
        self.machine = HealthMachine(configuration: health)
    }

    /// Why it is down; empty when it is up.
    var downReason: String { machine.reason }
    var isUp: Bool { machine.isUp }
    var canTake: Bool { machine.isUp && connection?.canOpenStream == true }

    /// True when the selector is empty or names a checkpoint that the worker serves.
    func serves(_ selector: String?) -> Bool {
        guard let selector, !selector.isEmpty else { return true }
        return checkpoints?.contains(selector) ?? false
    }

    func start() {
        execute(machine.started(at: .now()))
    }

    func stop() {
        stopped = true
        timer?.cancel()
        connection?.close(.noError, reason: "the gateway stops")
        connection = nil
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
        // A stream slot is free again.
        if connection?.isDraining == false { changed?() }
    }

    private func execute(_ actions: [HealthMachine.Action]) {
        for action in actions where !stopped {
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
        changed?()
    }

    private func connect() {
        generation += 1
        let current = generation
        var observer = HTTP2Connection.Observer()
        observer.ready = { [weak self] in
            guard let self, generation == current else { return }
            if let peer = connection?.peer, let identity = peer.identity, identity.kind != .worker {
                connection?.close(.noError, reason: "its certificate is that of \(identity), not of a worker")
                return
            }
            execute(machine.connected(at: .now()))
        }
        observer.goAway = { [weak self] in
            guard let self, generation == current, connection != nil else { return }
            // Streams in flight finish on the old connection, which closes by itself.
            letGo = current
            connection = nil
            execute(machine.connectionLost("it is shutting down (GOAWAY)", at: .now()))
        }
        observer.closed = { [weak self] reason in
            guard let self, generation == current, letGo != current, !stopped else { return }
            connection = nil
            lost(reason)
        }
        let opened = HTTP2Client.connect(
            to: endpoint,
            on: eventLoop,
            limits: shared.configuration.http2,
            tls: kind == .control ? nil : shared.configuration.workerTLS,
            timeout: shared.configuration.health.connectTimeout,
            observer: observer
        )
        guard !opened.isClosed else { return }
        connection = opened
        // A peer that accepts and stays silent is no worker.
        wake(after: shared.configuration.health.connectTimeout + shared.configuration.health.checkTimeout) { upstream in
            guard upstream.generation == current, let connection = upstream.connection, !connection.isReady else {
                return
            }
            upstream.letGo = current
            upstream.connection = nil
            connection.close(.settingsTimeout, reason: "no HTTP/2 answer")
            upstream.lost("it accepts connections but does not speak HTTP/2")
        }
    }

    private func lost(_ reason: String) {
        if speaks, !machine.isUp, let suppressed = unreachable.admit(at: .now()) {
            shared.logger.warning(
                "cannot be reached; trying again",
                metadata: metadata(["error": "\(reason)", "suppressed": "\(suppressed)"])
            )
        }
        execute(machine.connectionLost(reason, at: .now()))
        if speaks, case .worker(let index) = kind { shared.update(worker: index) { $0.reason = machine.reason } }
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
        WorkerCalls.check(connection, authority: "\(endpoint)", timeout: shared.configuration.health.checkTimeout)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self, generation == current, !stopped, self.connection != nil else { return }
                switch result.map(WorkerCalls.health(of:)) {
                case .success(nil):
                    execute(machine.checkSucceeded(at: .now()))
                    if checkpoints == nil { describe() }
                case .success(let problem?): execute(machine.checkFailed(problem, at: .now()))
                case .failure(let error): execute(machine.checkFailed("health check failed: \(error)", at: .now()))
                }
            }
    }

    private func cameUp() {
        if speaks { shared.logger.info("is up", metadata: metadata()) }
        if case .worker(let index) = kind {
            shared.withBalancer { $0.restarted(index) }
            if speaks {
                shared.metrics.workers[index].up.set(1)
                shared.update(worker: index) {
                    $0.isUp = true
                    $0.reason = ""
                }
            }
            checkpoints = nil
            describe()
        }
    }

    private func wentDown(_ reason: String) {
        if speaks { shared.logger.warning("is down", metadata: metadata(["error": "\(reason)"])) }
        guard case .worker(let index) = kind else { return }
        if speaks {
            shared.metrics.workers[index].up.set(0)
            shared.update(worker: index) {
                $0.isUp = false
                $0.reason = reason
            }
        }
        // After a GOAWAY the connection is nil, and the worker still answers what it has.
        guard connection != nil else { return }
        for attempt in Array(attempts.values) { attempt.workerWentDown() }
    }

    private func describe() {
        guard let connection, !describing, case .worker(let index) = kind else { return }
        describing = true
        let current = generation
        WorkerCalls.describe(connection, authority: "\(endpoint)", timeout: .seconds(2))
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self else { return }
                describing = false
                guard generation == current, !stopped else { return }
                switch result.map(WorkerCalls.description(in:)) {
                case .success(.success(let description)): described(description, index: index)
                case .success(.failure(let failure)): notDescribed(failure.reason)
                case .failure(let error): notDescribed("\(error)")
                }
            }
    }

    private func described(_ description: Groot_V1_DescribeResponse, index: Int) {
        if !description.worker.isEmpty { name = description.worker }
        let served = description.policies.map(\.checkpoint)
        checkpoints = served
        if speaks {
            shared.update(worker: index) {
                $0.name = name
                $0.checkpoints = served
            }
            shared.logger.info("serves", metadata: metadata(["checkpoint": "\(served.joined(separator: ","))"]))
            shared.onWorkerDescribed(WorkerReport(name: name, address: endpoint, policies: description.policies))
        }
        changed?()
    }

    private func notDescribed(_ reason: String) {
        guard speaks, let suppressed = unreachable.admit(at: .now()) else { return }
        shared.logger.warning(
            "does not say what it serves; asking again",
            metadata: metadata(["error": "\(reason)", "suppressed": "\(suppressed)"])
        )
    }

    private func metadata(_ more: Logger.Metadata = [:]) -> Logger.Metadata {
        var metadata = more
        metadata["worker"] = kind == .control ? "control plane" : "\(name)"
        metadata["peer"] = "\(endpoint)"
        return metadata
    }
}
