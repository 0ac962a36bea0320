import Foundation
import GrootCore

/// Decides which worker gets which request, and who waits. Pure; the one instance of a gateway is shared by all event
/// loops behind a mutex, and the simulator runs the same code in virtual time.
///
/// Invariants: every ticket handed out comes back exactly once in `finished`; a worker's books never exceed its credit;
/// a request is either on one worker's books, or waits, or is unknown here (hedges: on two workers' books).
struct Scheduler: Sendable {
    private(set) var configuration: SchedulingConfiguration
    private(set) var slots: [SchedulerWorker?] = []
    private(set) var waiting: WaitingQueue
    private(set) var robots: RobotTable
    /// Requests on the books of all workers, and those of them that are repetitions or hedges.
    private(set) var active = 0
    private(set) var extra = 0
    private var serial: UInt32 = 0
    private var turn = 0
    private var random: UInt64
    /// No worker is ejected after this instant.
    private var ejectionsEnd = MonotonicInstant(nanoseconds: 0)
    private var nextSweep = MonotonicInstant(nanoseconds: 0)
    /// Ejections since the owner last asked, for log and metrics.
    private var ejected: [WorkerID] = []

    init(configuration: SchedulingConfiguration = SchedulingConfiguration(), seed: UInt64 = 1) {
        self.configuration = configuration
        self.waiting = WaitingQueue(discipline: configuration.discipline)
        self.robots = RobotTable(limit: configuration.robotLimit)
        self.random = seed
    }

    // MARK: Members

    mutating func joined(address: String) -> WorkerID {
        serial += 1
        let slot = slots.firstIndex { $0 == nil } ?? slots.endIndex
        let id = WorkerID(slot: slot, serial: serial)
        if slot == slots.endIndex { slots.append(nil) }
        slots[slot] = SchedulerWorker(id: id, address: address)
        return id
    }

    /// Gets nothing new; its place is free when its books are empty.
    mutating func left(_ id: WorkerID) {
        guard let slot = index(id) else { return }
        slots[slot]?.isLeaving = true
        forgetIfDone(slot)
    }

    mutating func described(_ id: WorkerID, _ policies: [DescribedPolicy], at now: MonotonicInstant) -> [Assignment] {
        guard let slot = index(id) else { return [] }
        slots[slot]?.described(policies)
        return assignments(at: now)
    }

    /// An event loop has a healthy connection to the worker.
    mutating func reached(_ id: WorkerID, byLoop loop: Int, at now: MonotonicInstant) -> [Assignment] {
        guard let slot = index(id) else { return [] }
        _ = slots[slot]?.reached(byLoop: loop, at: now)
        return assignments(at: now)
    }

    mutating func lost(_ id: WorkerID, byLoop loop: Int) {
        guard let slot = index(id) else { return }
        slots[slot]?.lost(byLoop: loop)
    }

    /// The peer takes so many concurrent streams: a cap on its books.
    mutating func limited(_ id: WorkerID, to streams: Int) {
        guard let slot = index(id) else { return }
        slots[slot]?.streamLimit = max(1, streams)
    }

    mutating func drain(_ id: WorkerID, _ drains: Bool, at now: MonotonicInstant) -> [Assignment] {
        guard let slot = index(id) else { return [] }
        slots[slot]?.isDraining = drains
        return assignments(at: now)
    }

    /// Limits hold for what comes; nobody who waits is sent away.
    mutating func reconfigure(_ new: SchedulingConfiguration) {
        configuration = new
    }

    // MARK: Requests

    mutating func arrived(_ request: SchedulerRequest, at now: MonotonicInstant) -> SchedulingDecision {
        sweepIfDue(at: now)
        if request.isWork { robots.seen(request, at: now) }
        return place(request, isExtra: false, at: now)
    }

    /// A worker failed it. Only what that worker cannot have seen is repeated without regard to budget and runway.
    mutating func failed(_ request: SchedulerRequest, unseen: Bool, at now: MonotonicInstant) -> SchedulingDecision {
        if !unseen {
            guard extra < extraLimit else { return .giveUp(.budget) }
            let limit = request.dryAt.map { $0 + configuration.retryLateness }
            if let limit, let best = best(request, at: now), now + .seconds(best.delay) > limit {
                return .giveUp(.tooLate)
            }
        }
        return place(request, isExtra: !unseen, at: now)
    }

    /// A second worker for a request whose robot is about to run dry: only one that has credit while nobody waits, and
    /// only within the budget of repetitions.
    mutating func hedged(_ request: SchedulerRequest, at now: MonotonicInstant) -> Ticket? {
        guard waiting.isEmpty, extra < extraLimit, let choice = best(request, at: now), choice.hasCredit else {
            return nil
        }
        return dispatch(request, to: choice, isExtra: true, at: now)
    }

    /// It waits no more: robot gone, deadline. False when it did not wait (any more).
    mutating func withdrew(_ id: RequestID) -> Bool {
        waiting.remove(id) != nil
    }

    /// Takes an attempt off the books and hands what became free to those who wait.
    mutating func finished(
        _ ticket: Ticket,
        _ outcome: AttemptOutcome,
        load: WorkerLoad? = nil,
        at now: MonotonicInstant
    ) -> [Assignment] {
        active -= 1
        if ticket.isExtra { extra -= 1 }
        if ticket.isWork, !ticket.robot.isEmpty {
            robots.finished(ticket.robot, answered: outcome == .answered, batches: ticket.batches)
        }
        guard let slot = index(ticket.worker) else { return [] }
        settle(slot, ticket, outcome, load, at: now)
        forgetIfDone(slot)
        return assignments(at: now)
    }

    /// Whether a worker that could take it is up.
    func isHopeful(_ request: SchedulerRequest) -> Bool {
        slots.contains { $0.map { eligible($0, request, ignoringEjection: true, at: .distantPast) != nil } ?? false }
    }

    /// After what time a robot should observe again; nil unless more wait than can be served in time and more than fit
    /// into one batch of every worker.
    func nextObservationAfter(at now: MonotonicInstant) -> Duration? {
        guard waiting.isOverloaded else { return nil }
        var batches = 0
        for case .some(let worker) in slots where worker.isUp { batches += worker.capacity ?? 1 }
        return waiting.count > batches ? drainTime(at: now) : nil
    }

    /// When to call `timePassed`; nil while nobody waits for a batch to end.
    func wakeAt(after now: MonotonicInstant) -> MonotonicInstant? {
        guard !waiting.isEmpty else { return nil }
        var first: MonotonicInstant?
        for worker in slots {
            guard let worker, worker.isUp, let opens = worker.opens(configuration), opens > now else { continue }
            first = min(first ?? opens, opens)
        }
        return first
    }

    mutating func timePassed(at now: MonotonicInstant) -> [Assignment] {
        assignments(at: now)
    }

    mutating func takeEjections() -> [WorkerID] {
        guard !ejected.isEmpty else { return [] }
        defer { ejected = [] }
        return ejected
    }

    func worker(_ id: WorkerID) -> SchedulerWorker? { index(id).flatMap { slots[$0] } }

    /// Repetitions and hedges that may be under way at a time.
    var extraLimit: Int {
        max(configuration.retryMinimum, Int(configuration.retryShare * Double(active + waiting.count)))
    }

    // MARK: Choosing

    private struct Choice {
        var slot: Int
        var group: Int
        var delay: Double
        var hasCredit: Bool
    }

    private mutating func place(_ request: SchedulerRequest, isExtra: Bool, at now: MonotonicInstant)
        -> SchedulingDecision
    {
        if let choice = best(request, at: now), choice.hasCredit, !isWanted(choice.slot, before: request, at: now) {
            return .dispatch(dispatch(request, to: choice, isExtra: isExtra, at: now))
        }
        if waiting.older(than: request) == nil, waiting.count >= configuration.waitingLimit {
            return .shed(nextObservationAfter: drainTime(at: now))
        }
        let superseded = waiting.insert(request)
        if superseded != nil { robots.superseded(request.robot) }
        return .wait(superseding: superseded, hopeful: isHopeful(request))
    }

    /// Somebody waits who could take this worker: nobody overtakes.
    private func isWanted(_ slot: Int, before request: SchedulerRequest, at now: MonotonicInstant) -> Bool {
        guard request.isWork, !waiting.isEmpty, let worker = slots[slot] else { return false }
        return waiting.entries.contains {
            eligible(worker, $0, ignoringEjection: true, at: now) != nil
                && (worker.capacity == nil || !$0.tried.isEmpty || !robots.isServed($0))
        }
    }

    private mutating func dispatch(
        _ request: SchedulerRequest,
        to choice: Choice,
        isExtra: Bool,
        at now: MonotonicInstant
    ) -> Ticket {
        let worker = slots[choice.slot]
        let id = worker?.id ?? WorkerID(slot: 0, serial: 0)
        let batches = worker?.capacity != nil && request.isWork
        if request.isWork {
            slots[choice.slot]?.dispatched(group: choice.group, at: now)
            if !request.robot.isEmpty { robots.dispatched(request, to: id, batches: batches) }
        }
        active += 1
        if isExtra { extra += 1 }
        return Ticket(
            worker: id,
            robot: request.robot,
            incarnation: worker?.incarnation ?? 0,
            group: choice.group,
            isWork: request.isWork,
            isExtra: isExtra,
            batches: batches,
            startedAt: now,
            expected: .seconds(choice.delay)
        )
    }

    /// Gives waiting requests to workers that have credit.
    private mutating func assignments(at now: MonotonicInstant) -> [Assignment] {
        guard !waiting.isEmpty, anyCredit(at: now) else { return [] }
        var given: [Assignment] = []
        for request in waiting.ordered(pace(at: now), assumedRunway: configuration.assumedRunway, at: now) {
            guard let choice = best(request, at: now), choice.hasCredit else { continue }
            _ = waiting.remove(request.id)
            let ticket = dispatch(request, to: choice, isExtra: !request.tried.isEmpty, at: now)
            given.append(Assignment(request: request.id, ticket: ticket))
            guard anyCredit(at: now) else { break }
        }
        return given
    }

    /// The worker that the policy prefers. By expected delay it may be one without credit: then waiting for it is
    /// better than what has credit, for instance a worker that fails fast.
    private mutating func best(_ request: SchedulerRequest, at now: MonotonicInstant) -> Choice? {
        let ignoringEjection = isPanicking(at: now)
        turn &+= 1
        if !request.isWork { return next(request, ignoringEjection, at: now) }
        switch configuration.policy {
        case .roundRobin: return next(request, ignoringEjection, at: now)
        case .consistentHash: return hashed(request, ignoringEjection, at: now)
        case .powerOfTwo: return ofTwo(request, ignoringEjection, byDelay: false, at: now)
        case .leastRequest: return scan(request, ignoringEjection, byDelay: false, at: now)
        case .expectedDelay:
            return slots.count <= configuration.fullScanLimit
                ? scan(request, ignoringEjection, byDelay: true, at: now)
                : ofTwo(request, ignoringEjection, byDelay: true, at: now)
        }
    }

    private func choice(_ slot: Int, _ request: SchedulerRequest, _ ignoringEjection: Bool, at now: MonotonicInstant)
        -> Choice?
    {
        guard let worker = slots[slot],
            let group = eligible(worker, request, ignoringEjection: ignoringEjection, at: now)
        else { return nil }
        var hasCredit = worker.inFlight < worker.credit(configuration, at: now)
        if hasCredit, worker.capacity != nil, request.isWork, request.tried.isEmpty, waiting.discipline != .fifo {
            hasCredit = !robots.isServed(request)
        }
        let ahead = hasCredit ? 0 : waiting.count / max(1, slots.count)
        let delay = worker.expectedDelay(group: group, ahead: ahead, configuration, at: now)
        return Choice(slot: slot, group: group, delay: delay, hasCredit: hasCredit)
    }

    /// Position of the books for the request, or nil when this worker must not get it.
    private func eligible(
        _ worker: SchedulerWorker,
        _ request: SchedulerRequest,
        ignoringEjection: Bool,
        at now: MonotonicInstant
    ) -> Int? {
        guard worker.reachable & (1 << UInt64(request.id.loop)) != 0, !worker.isDraining, !worker.isLeaving else {
            return nil
        }
        guard ignoringEjection || !worker.outlier.isEjected(at: now) else { return nil }
        if !request.tried.isEmpty,
            request.tried.contains(where: { $0.worker == worker.id && $0.incarnation == worker.incarnation })
        {
            return nil
        }
        return worker.group(for: request.checkpoint)
    }

    private func scan(
        _ request: SchedulerRequest,
        _ ignoringEjection: Bool,
        byDelay: Bool,
        at now: MonotonicInstant
    ) -> Choice? {
        var best: Choice?
        var last: Choice?
        let lastWorker = byDelay && !request.robot.isEmpty ? robots.lastWorker(of: request.robot) : nil
        for offset in slots.indices {
            let slot = (offset + turn) % slots.count
            guard let candidate = choice(slot, request, ignoringEjection, at: now) else { continue }
            if let lastWorker, slots[slot]?.id == lastWorker { last = candidate }
            if best.map({ isBetter(candidate, $0, byDelay: byDelay, at: now) }) ?? true { best = candidate }
        }
        // Chunks of one robot fit each other better when one worker makes them: stay while it is equally good.
        if let last, let found = best, last.hasCredit, last.slot != found.slot, found.hasCredit,
            last.delay <= found.delay * (1 + configuration.affinity), isWithinBound(last.slot)
        {
            return last
        }
        return best
    }

    private func isBetter(_ candidate: Choice, _ best: Choice, byDelay: Bool, at now: MonotonicInstant) -> Bool {
        if byDelay {
            // What has credit goes first, so that batches fill, unless waiting for the other is far better: it is with a
            // worker that fails fast, or one that is much slower.
            if candidate.hasCredit == best.hasCredit { return candidate.delay < best.delay }
            let patience = configuration.patience
            return candidate.hasCredit
                ? candidate.delay <= patience * best.delay : patience * candidate.delay < best.delay
        }
        guard candidate.hasCredit == best.hasCredit else { return candidate.hasCredit }
        return load(candidate.slot, at: now) < load(best.slot, at: now)
    }

    /// In flight, scaled by slow start; a worker under penalty counts as full.
    private func load(_ slot: Int, at now: MonotonicInstant) -> Double {
        guard let worker = slots[slot] else { return .infinity }
        let penalty = max(0, (worker.penaltyUntil - now).seconds)
        return (Double(worker.inFlight) + 1) / worker.weight(configuration, at: now) + penalty * 1000
    }

    private mutating func ofTwo(
        _ request: SchedulerRequest,
        _ ignoringEjection: Bool,
        byDelay: Bool,
        at now: MonotonicInstant
    ) -> Choice? {
        var first: Choice?
        // Without replacement: two different ones, or all when luck does not find two.
        for _ in 0..<(2 * slots.count) {
            let slot = Int(nextRandom() % UInt64(max(1, slots.count)))
            guard slot != first?.slot, let candidate = choice(slot, request, ignoringEjection, at: now) else {
                continue
            }
            guard let other = first else {
                first = candidate
                continue
            }
            if candidate.hasCredit != other.hasCredit { return candidate.hasCredit ? candidate : other }
            if !candidate.hasCredit { break }
            return isBetter(candidate, other, byDelay: byDelay, at: now) ? candidate : other
        }
        return scan(request, ignoringEjection, byDelay: byDelay, at: now)
    }

    private func next(_ request: SchedulerRequest, _ ignoringEjection: Bool, at now: MonotonicInstant) -> Choice? {
        var full: Choice?
        var penalised: Choice?
        for offset in slots.indices {
            let slot = (offset + turn) % slots.count
            guard let candidate = choice(slot, request, ignoringEjection, at: now) else { continue }
            guard candidate.hasCredit || !request.isWork else {
                full = full ?? candidate
                continue
            }
            if let worker = slots[slot], worker.penaltyUntil > now {
                penalised = penalised ?? candidate
                continue
            }
            return Choice(slot: slot, group: candidate.group, delay: candidate.delay, hasCredit: true)
        }
        return penalised ?? full
    }

    /// Highest random weight: a robot's worker changes only when its own worker comes or goes. Bounded load: a worker
    /// above its share is passed over.
    private func hashed(_ request: SchedulerRequest, _ ignoringEjection: Bool, at now: MonotonicInstant) -> Choice? {
        let key = StableHash.of(request.robot)
        var best: (choice: Choice, weight: UInt64)?
        var fallback: (choice: Choice, weight: UInt64)?
        for slot in slots.indices {
            guard let worker = slots[slot], let candidate = choice(slot, request, ignoringEjection, at: now) else {
                continue
            }
            let weight = StableHash.mixed(key ^ worker.hash)
            if candidate.hasCredit, isWithinBound(slot), worker.penaltyUntil <= now {
                if best.map({ weight > $0.weight }) ?? true { best = (candidate, weight) }
            } else if fallback.map({ weight > $0.weight }) ?? true {
                fallback = (candidate, weight)
            }
        }
        return best?.choice ?? fallback?.choice
    }

    /// One more request keeps the worker within its share of the load.
    private func isWithinBound(_ slot: Int) -> Bool {
        guard let worker = slots[slot] else { return false }
        var total = 1
        var count = 0
        for other in slots {
            guard let other, other.isUp, !other.isDraining, !other.isLeaving else { continue }
            total += other.inFlight
            count += 1
        }
        let share = configuration.boundedLoad * Double(total) / Double(max(1, count))
        return Double(worker.inFlight + 1) <= max(1, share.rounded(.up))
    }

    private mutating func nextRandom() -> UInt64 {
        random &+= 0x9E37_79B9_7F4A_7C15
        return StableHash.mixed(random)
    }

    // MARK: Books and health

    private mutating func settle(
        _ slot: Int,
        _ ticket: Ticket,
        _ outcome: AttemptOutcome,
        _ load: WorkerLoad?,
        at now: MonotonicInstant
    ) {
        if ticket.isWork {
            switch outcome {
            case .answered: slots[slot]?.answered(ticket, load, at: now)
            case .abandoned: slots[slot]?.abandoned(ticket, at: now)
            case .declined, .refused, .failed, .neverSeen: slots[slot]?.withdrew(group: ticket.group)
            }
        }
        guard slots[slot]?.incarnation == ticket.incarnation else { return }
        switch outcome {
        case .answered, .declined: slots[slot]?.outlier.succeeded()
        case .abandoned, .neverSeen: break
        case .refused(let after):
            let wait = min(after ?? .zero, configuration.longestPushback)
            slots[slot]?.penalised(max(wait, configuration.failurePenalty), at: now)
        case .failed:
            slots[slot]?.penalised(configuration.failurePenalty, at: now)
            if slots[slot]?.outlier.failed(configuration.outlier) == true { eject(slot, at: now) }
        }
    }

    private mutating func eject(_ slot: Int, at now: MonotonicInstant) {
        let members = slots.count { $0.map { !$0.isLeaving } ?? false }
        let out = slots.count { $0.map { $0.outlier.isEjected(at: now) } ?? false }
        let allowed = max(1, Int(configuration.outlier.maxEjectedShare * Double(members)))
        guard out < allowed, let id = slots[slot]?.id else { return }
        slots[slot]?.outlier.eject(configuration.outlier, at: now)
        ejectionsEnd = max(ejectionsEnd, now + configuration.outlier.longestEjection)
        ejected.append(id)
    }

    /// Too few are left: then all that are up are used, ejected or not.
    private func isPanicking(at now: MonotonicInstant) -> Bool {
        guard now < ejectionsEnd else { return false }
        var up = 0
        var out = 0
        for worker in slots {
            guard let worker, worker.isUp, !worker.isLeaving, !worker.isDraining else { continue }
            up += 1
            if worker.outlier.isEjected(at: now) { out += 1 }
        }
        return out > 0 && Double(up - out) < configuration.outlier.panicShare * Double(up)
    }

    private mutating func sweepIfDue(at now: MonotonicInstant) {
        guard now >= nextSweep else { return }
        nextSweep = now + configuration.outlier.sweepInterval
        var rates: [(slot: Int, rate: Double)] = []
        for slot in slots.indices {
            guard let rate = slots[slot]?.outlier.sweep(configuration.outlier, at: now) else { continue }
            rates.append((slot, rate))
        }
        guard let threshold = OutlierDetector.threshold(rates.map(\.rate), configuration.outlier) else { return }
        for (slot, rate) in rates where rate < threshold { eject(slot, at: now) }
    }

    private mutating func forgetIfDone(_ slot: Int) {
        guard let worker = slots[slot], worker.isLeaving, worker.inFlight == 0 else { return }
        slots[slot] = nil
        while let last = slots.last, last == nil { slots.removeLast() }
    }

    private func index(_ id: WorkerID) -> Int? {
        guard slots.indices.contains(id.slot), slots[id.slot]?.id == id else { return nil }
        return id.slot
    }

    private func anyCredit(at now: MonotonicInstant) -> Bool {
        slots.contains { worker in
            guard let worker, worker.isUp, !worker.isDraining, !worker.isLeaving else { return false }
            return worker.inFlight < worker.credit(configuration, at: now)
        }
    }

    private func pace(at now: MonotonicInstant) -> WaitingQueue.Pace {
        var pace = WaitingQueue.Pace(perSecond: 0, service: .infinity)
        for worker in slots {
            guard let worker, worker.isUp, !worker.isDraining, !worker.isLeaving else { continue }
            let perSecond = worker.pace(at: now)
            pace.perSecond += perSecond
            pace.service = min(pace.service, Double(worker.capacity ?? 1) / perSecond)
        }
        if pace.service == .infinity { pace.service = 0 }
        return pace
    }

    private func drainTime(at now: MonotonicInstant) -> Duration {
        let seconds = Double(waiting.count) / max(pace(at: now).perSecond, 1)
        return min(configuration.longestHint, max(.milliseconds(1), .seconds(seconds)))
    }
}

extension MonotonicInstant {
    /// Before everything: no ejection or penalty has ended yet.
    static let distantPast = MonotonicInstant(nanoseconds: .min / 2)
}
