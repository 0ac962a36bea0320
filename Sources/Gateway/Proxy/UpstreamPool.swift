import GrootCore
import HTTP2
import NIOCore

/// All upstreams of one event loop, and the requests of this loop that wait. Confined to that loop.
final class UpstreamPool {
    let shared: GatewayShared
    let eventLoop: any EventLoop
    /// Position among the event loops; the first one speaks for all in log, metrics and reports.
    let index: Int
    let control: Upstream
    /// This loop's copy; a reload replaces it.
    var configuration: GatewayConfiguration
    private(set) var workers: [WorkerID: Upstream] = [:]
    /// By number; the scheduler knows their order.
    private var waiting: [UInt64: ProxyRequest] = [:]
    /// Control-plane calls, in order of arrival.
    private var waitingForControl: [ProxyRequest] = []
    private var nextNumber: UInt64 = 0
    private var deliveries: [Assignment] = []
    private var isDelivering = false
    private var wake: Scheduled<Void>?
    private var wakeAt: MonotonicInstant?
    private var isStopped = false
    private var open = OpenRequests()
    private var deadlines: Scheduled<Void>?
    private var deadlinesAt: MonotonicInstant?
    /// Deadlines closer together than this share a wake-up.
    private static let deadlineGrain = Duration.milliseconds(5)

    init(
        shared: GatewayShared,
        configuration: GatewayConfiguration,
        control: Endpoint,
        eventLoop: any EventLoop,
        index: Int
    ) {
        self.shared = shared
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.index = index
        self.control = Upstream(kind: .control, endpoint: control, pool: nil, shared: shared, eventLoop: eventLoop)
        self.control.pool = self
    }

    func start() {
        control.start()
    }

    func stop() {
        isStopped = true
        wake?.cancel()
        deadlines?.cancel()
        control.stop()
        for upstream in workers.values { upstream.stop() }
    }

    // MARK: Members

    func add(_ member: WorkerMember) {
        guard !isStopped, workers[member.id] == nil else { return }
        let upstream = Upstream(
            kind: .worker(member),
            endpoint: member.endpoint,
            pool: self,
            shared: shared,
            eventLoop: eventLoop
        )
        workers[member.id] = upstream
        upstream.start()
    }

    /// What it has in hand finishes.
    func remove(_ id: WorkerID) {
        guard let upstream = workers.removeValue(forKey: id) else { return }
        change { scheduler, now in scheduler.lost(id, byLoop: self.index, at: now) }
        upstream.leave()
    }

    func upstream(_ id: WorkerID) -> Upstream? { workers[id] }

    // MARK: Scheduling

    /// Tells the scheduler something and carries out what follows, but for the decision, which is the caller's.
    @discardableResult
    func change(_ event: (inout Scheduler, MonotonicInstant) -> Effects) -> Effects {
        let now = MonotonicInstant.now()
        let effects = shared.withScheduler { event(&$0, now) }
        carryOut(effects)
        return effects
    }

    /// All that concerns others than the request that asked.
    func carryOut(_ effects: Effects) {
        shared.metrics.waiting.set(Double(effects.waiting))
        if let next = effects.wakeAt { armWake(next) }
        for id in effects.ejected { workers[id]?.ejected() }
        handOut(effects.assignments)
    }

    func nextID() -> RequestID {
        nextNumber += 1
        return RequestID(loop: index, number: nextNumber)
    }

    func wait(_ request: ProxyRequest, _ id: RequestID) {
        waiting[id.number] = request
    }

    func stopWaiting(_ id: RequestID) {
        guard waiting.removeValue(forKey: id.number) != nil else { return }
        change { scheduler, now in scheduler.withdrew(id, at: now) }
    }

    /// A newer observation of the robot took its place.
    func supersede(_ id: RequestID, by observation: UInt64) {
        guard id.loop == index else {
            shared.onLoop(id.loop) { $0.supersede(id, by: observation) }
            return
        }
        // Never from inside the newer request's own callback.
        eventLoop.assumeIsolated().execute { [weak self] in
            self?.waiting.removeValue(forKey: id.number)?.superseded(by: observation)
        }
    }

    private func armWake(_ instant: MonotonicInstant) {
        guard !isStopped else { return }
        if let wakeAt, wakeAt <= instant { return }
        wake?.cancel()
        wakeAt = instant
        let delay = max(0, (instant - .now()).nanoseconds)
        wake = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [weak self] in
            guard let self else { return }
            wakeAt = nil
            change { scheduler, now in scheduler.timePassed(at: now) }
        }
    }

    private func handOut(_ given: [Assignment]) {
        guard !given.isEmpty else { return }
        for assignment in given where assignment.request.loop != index {
            shared.onLoop(assignment.request.loop) { $0.handOut([assignment]) }
        }
        deliveries += given.filter { $0.request.loop == index }
        guard !deliveries.isEmpty, !isDelivering, !isStopped else { return }
        isDelivering = true
        // Once per loop turn, so that a request is not dispatched from inside another one's callback.
        eventLoop.assumeIsolated().execute { [weak self] in self?.deliver() }
    }

    private func deliver() {
        isDelivering = false
        let due = deliveries
        deliveries = []
        for assignment in due {
            if let request = waiting.removeValue(forKey: assignment.request.number) {
                request.assigned(assignment.ticket)
            } else {
                // Gone in between.
                change { scheduler, now in scheduler.finished(assignment.ticket, .neverSeen, at: now) }
            }
        }
    }

    // MARK: Deadlines

    func opened(_ request: ProxyRequest, until deadline: MonotonicInstant) {
        open.insert(request, until: deadline)
        if deadlinesAt.map({ deadline < $0 }) ?? true { armDeadlines(deadline) }
    }

    /// It wants to be woken at another instant; later than thought costs nothing.
    func changed(_ request: ProxyRequest, until instant: MonotonicInstant) {
        open.change(request, until: instant)
        if deadlinesAt.map({ instant < $0 }) ?? true { armDeadlines(instant) }
    }

    func closed(_ request: ProxyRequest) {
        open.remove(request)
    }

    private func armDeadlines(_ instant: MonotonicInstant) {
        guard !isStopped else { return }
        deadlines?.cancel()
        deadlinesAt = instant
        let delay = max(1, (instant - .now()).nanoseconds)
        deadlines = eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [weak self] in
            guard let self else { return }
            deadlinesAt = nil
            let now = MonotonicInstant.now()
            for request in open.takeDue(at: now) {
                request.timePassed(at: now)
                guard let machine = request.machine, now < machine.deadline, !request.stream.isClosed else { continue }
                open.insert(request, until: machine.wakeAt)
            }
            if let next = open.earliest { armDeadlines(max(next, now + Self.deadlineGrain)) }
        }
    }

    // MARK: Control plane

    /// False when too many wait already.
    func waitForControl(_ request: ProxyRequest) -> Bool {
        guard waitingForControl.count < configuration.holdCount else { return false }
        waitingForControl.append(request)
        return true
    }

    func stopWaitingForControl(_ request: ProxyRequest) {
        waitingForControl.removeAll { $0 === request }
    }

    func controlChanged() {
        guard !waitingForControl.isEmpty, control.canTake else { return }
        eventLoop.assumeIsolated().execute { [weak self] in
            for request in self?.waitingForControl ?? [] { request.controlMayBeThere() }
        }
    }
}
