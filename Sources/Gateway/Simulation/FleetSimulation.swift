import GrootCore
import HeapModule

/// A discrete-event simulation of a fleet around the gateway's own `Scheduler`, in virtual time. Pure and repeatable:
/// the same configuration and seed give the same report.
struct FleetSimulation {
    private enum Kind {
        case tick(robot: Int)
        /// A request reaches the gateway.
        case arrival(request: UInt64)
        case batchDone(worker: Int, life: Int)
        /// An answer reaches the robot; nil: it was refused or superseded.
        case answer(request: UInt64, chunk: Bool, hint: Duration?)
        case wake
        case workerDies
        case workerReturns
    }

    private struct Event: Comparable {
        var at: Int64
        var order: UInt64
        var kind: Kind

        static func < (left: Event, right: Event) -> Bool { (left.at, left.order) < (right.at, right.order) }
        static func == (left: Event, right: Event) -> Bool { left.at == right.at && left.order == right.order }
    }

    private struct Request {
        var robot: Int
        var tick: Int
        var sentAt: MonotonicInstant
        var scheduler: SchedulerRequest
    }

    private let configuration: SimulationConfiguration
    private let policy: SimulatedPolicy
    private let period: Duration
    private var scheduler: Scheduler
    private var robots: [SimulatedRobot] = []
    private var workers: [SimulatedWorker] = []
    private var events = Heap<Event>()
    private var order: UInt64 = 0
    private var requests: [UInt64: Request] = [:]
    private var nextRequest: UInt64 = 0
    private var random: SeededGenerator
    private var now = MonotonicInstant(nanoseconds: 0)
    private var wakeArmed = MonotonicInstant(nanoseconds: 0)
    private var ages: [Double] = []
    private var inferences = 0
    private var batches = 0
    private var superseded = 0
    private var shed = 0
    private var wasted = 0

    init(_ configuration: SimulationConfiguration, _ policy: SimulatedPolicy) {
        self.configuration = configuration
        self.policy = policy
        period = .nanoseconds(1_000_000_000 / Int64(configuration.controlRate))
        random = SeededGenerator(state: configuration.seed)
        var scheduling = SchedulingConfiguration()
        scheduling.policy = policy.routing
        scheduling.discipline = policy.discipline
        scheduling.slowStart = .zero
        if !policy.waitsAtGateway {
            scheduling.creditBatches = 1 << 20
            scheduling.dispatchLead = .seconds(86_400)
            scheduling.maxRequestsPerWorker = .max
        }
        scheduler = Scheduler(configuration: scheduling, seed: configuration.seed)
        for index in 0..<configuration.robots {
            robots.append(
                SimulatedRobot(name: "r\(index + 1)", chunk: configuration.chunks[index % configuration.chunks.count])
            )
        }
    }

    static func run(_ configuration: SimulationConfiguration, _ policy: SimulatedPolicy) -> SimulationReport {
        var simulation = FleetSimulation(configuration, policy)
        return simulation.run()
    }

    private mutating func run() -> SimulationReport {
        let maxBatch = policy.batches ? configuration.maxBatch : 1
        for index in 0..<configuration.workers {
            let id = scheduler.joined(address: "w\(index + 1)")
            let times = [1, maxBatch].map { DescribedPolicy.BatchTime(batch: $0, time: time(of: $0)) }
            _ = scheduler.described(
                id,
                [DescribedPolicy(checkpoint: "policy", maxBatch: maxBatch, batchTimes: times)],
                at: now
            )
            _ = scheduler.reached(id, byLoop: 0, at: now)
            workers.append(SimulatedWorker(id: id, maxBatch: maxBatch))
        }
        for index in robots.indices {
            schedule(.nanoseconds(Int64(random.unit() * Double(period.nanoseconds))), .tick(robot: index))
        }
        if let outage = configuration.outage {
            schedule(outage.at, .workerDies)
            schedule(outage.at + outage.length, .workerReturns)
        }
        let end = configuration.warmUp + configuration.duration
        while let event = events.popMin(), event.at <= end.nanoseconds {
            now = MonotonicInstant(nanoseconds: event.at)
            handle(event.kind)
            armWake()
        }
        return report()
    }

    private mutating func handle(_ kind: Kind) {
        switch kind {
        case .tick(let robot): tick(robot)
        case .arrival(let request): arrived(request)
        case .batchDone(let worker, let life): batchDone(worker, life)
        case .answer(let request, let chunk, let hint): answered(request, chunk: chunk, hint: hint)
        case .wake: carryOut(scheduler.timePassed(at: now).assignments)
        case .workerDies: workerDies()
        case .workerReturns:
            workers[0].isUp = true
            carryOut(scheduler.reached(workers[0].id, byLoop: 0, at: now).assignments)
        }
    }

    // MARK: Robots

    private mutating func tick(_ index: Int) {
        schedule(period, .tick(robot: index))
        let tick = currentTick
        let left = max(0, robots[index].planEnd - tick)
        if now.nanoseconds >= configuration.warmUp.nanoseconds {
            robots[index].ticks += 1
            if left == 0 { robots[index].starved += 1 }
        }
        guard Double(left) <= configuration.threshold * Double(robots[index].chunk) else { return }
        guard policy.everyTick || robots[index].open.isEmpty, now >= robots[index].notBefore else { return }
        let id = nextRequest
        nextRequest += 1
        robots[index].observation += 1
        robots[index].open.append(id)
        let request = SchedulerRequest(
            id: RequestID(loop: 0, number: id),
            robot: robots[index].name,
            checkpoint: "policy",
            observation: robots[index].observation,
            dryAt: now + configuration.networkDelay + period * left,
            arrivedAt: now + configuration.networkDelay
        )
        requests[id] = Request(robot: index, tick: tick, sentAt: now, scheduler: request)
        schedule(configuration.networkDelay, .arrival(request: id))
    }

    private mutating func answered(_ id: UInt64, chunk: Bool, hint: Duration?) {
        guard let request = requests.removeValue(forKey: id) else { return }
        let robot = request.robot
        robots[robot].open.removeAll { $0 == id }
        if let hint, configuration.robotsHeedHints, !policy.everyTick { robots[robot].notBefore = now + hint }
        guard chunk else { return }
        let isUseful = robots[robot].take(capturedAt: request.tick, now: currentTick)
        if now.nanoseconds >= configuration.warmUp.nanoseconds {
            if !isUseful { wasted += 1 }
            ages.append((now - request.sentAt).milliseconds)
        }
        // Enough motion again: what still waits is of no use to it.
        let left = robots[robot].planEnd - currentTick
        guard policy.waitsAtGateway, Double(left) > configuration.threshold * Double(robots[robot].chunk) else {
            return
        }
        for open in robots[robot].open where scheduler.isWaiting(RequestID(loop: 0, number: open)) {
            _ = scheduler.withdrew(RequestID(loop: 0, number: open), at: now)
            requests[open] = nil
            robots[robot].open.removeAll { $0 == open }
        }
    }

    // MARK: Gateway

    private mutating func arrived(_ id: UInt64) {
        guard let request = requests[id] else { return }
        decide(scheduler.arrived(request.scheduler, at: now).decision, id)
    }

    private mutating func decide(_ decision: SchedulingDecision?, _ id: UInt64) {
        switch decision {
        case .dispatch(let ticket): carryOut([Assignment(request: RequestID(loop: 0, number: id), ticket: ticket)])
        case .wait(let old, _):
            guard let old else { return }
            superseded += 1
            schedule(configuration.networkDelay, .answer(request: old.number, chunk: false, hint: nil))
        case .shed(let hint):
            shed += 1
            schedule(configuration.networkDelay, .answer(request: id, chunk: false, hint: hint))
        case .giveUp, nil: schedule(configuration.networkDelay, .answer(request: id, chunk: false, hint: nil))
        }
    }

    private mutating func carryOut(_ assignments: [Assignment]) {
        for assignment in assignments {
            guard let worker = workers.firstIndex(where: { $0.id == assignment.ticket.worker }) else { continue }
            workers[worker].queue.append(.init(request: assignment.request.number, ticket: assignment.ticket))
            startBatch(worker)
        }
    }

    // MARK: Workers

    private mutating func startBatch(_ index: Int) {
        guard workers[index].running.isEmpty, !workers[index].queue.isEmpty else { return }
        let count = min(workers[index].maxBatch, workers[index].queue.count)
        workers[index].running = Array(workers[index].queue.prefix(count))
        workers[index].queue.removeFirst(count)
        let vary = 1 + configuration.jitter * (2 * random.unit() - 1)
        let time = Duration.nanoseconds(Int64(Double(self.time(of: count).nanoseconds) * vary))
        workers[index].endsAt = now + time
        workers[index].runningSeconds = time.seconds
        schedule(time, .batchDone(worker: index, life: workers[index].life))
        inferences += count
        batches += 1
    }

    private mutating func batchDone(_ index: Int, _ life: Int) {
        guard workers[index].life == life else { return }
        let done = workers[index].running
        workers[index].lastBatch = done.count
        workers[index].lastSeconds = workers[index].runningSeconds
        workers[index].running = []
        startBatch(index)
        for call in done {
            let load = workers[index].load(at: now)
            let assignments = scheduler.finished(call.ticket, .answered, load: load, at: now).assignments
            let hint = scheduler.nextObservationAfter(at: now)
            schedule(configuration.networkDelay, .answer(request: call.request, chunk: true, hint: hint))
            carryOut(assignments)
        }
    }

    private mutating func workerDies() {
        let lost = workers[0].running + workers[0].queue
        workers[0].running = []
        workers[0].queue = []
        workers[0].life += 1
        workers[0].isUp = false
        _ = scheduler.lost(workers[0].id, byLoop: 0, at: now)
        for call in lost {
            carryOut(scheduler.finished(call.ticket, .failed, at: now).assignments)
            requests[call.request]?.scheduler.tried.append(
                .init(worker: call.ticket.worker, incarnation: call.ticket.incarnation)
            )
            guard let request = requests[call.request] else { continue }
            decide(scheduler.failed(request.scheduler, unseen: false, at: now).decision, call.request)
        }
    }

    private mutating func armWake() {
        guard let wake = scheduler.books.wakeAt(after: now), wakeArmed <= now || wake < wakeArmed else { return }
        wakeArmed = wake
        schedule(wake - now, .wake)
    }

    private func time(of batch: Int) -> Duration { configuration.base + configuration.perRequest * batch }

    private var currentTick: Int { Int(now.nanoseconds / period.nanoseconds) }

    private mutating func schedule(_ delay: Duration, _ kind: Kind) {
        order += 1
        events.insert(Event(at: now.nanoseconds + delay.nanoseconds, order: order, kind: kind))
    }

    private func report() -> SimulationReport {
        func percent(_ part: Int, _ whole: Int) -> Double {
            whole == 0 ? 0 : (Double(part) / Double(whole) * 1000).rounded() / 10
        }
        let sorted = ages.sorted()
        func quantile(_ share: Double) -> Double {
            sorted.isEmpty ? 0 : (sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))] * 10).rounded() / 10
        }
        let whole = (configuration.warmUp + configuration.duration).seconds
        return SimulationReport(
            policy: policy.name,
            robots: configuration.robots,
            workers: configuration.workers,
            starvedPercent: percent(robots.reduce(0) { $0 + $1.starved }, robots.reduce(0) { $0 + $1.ticks }),
            worstRobotPercent: robots.map { percent($0.starved, $0.ticks) }.max() ?? 0,
            robotsWithoutChunk: robots.count { $0.chunks == 0 },
            inferencesPerSecond: (Double(inferences) / whole * 10).rounded() / 10,
            batchFill: batches == 0 ? 0 : (Double(inferences) / Double(batches) * 100).rounded() / 100,
            superseded: superseded,
            shed: shed,
            wasted: wasted,
            chunkAgeP50: quantile(0.5),
            chunkAgeP99: quantile(0.99)
        )
    }
}
