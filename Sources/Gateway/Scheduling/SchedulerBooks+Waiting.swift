import GrootCore

/// Who gets a worker at once, who waits, and how long that takes.
extension SchedulerBooks {
    mutating func place(_ request: SchedulerRequest, isExtra: Bool, at now: MonotonicInstant)
        -> SchedulingDecision
    {
        let choice = best(request, ahead: waiting.count, at: now)
        if let choice, choice.hasCredit, !isWanted(choice.slot, before: request, at: now) {
            return .dispatch(dispatch(request, to: choice, isExtra: isExtra, at: now))
        }
        if !request.tried.isEmpty, waiting.hasNewer(than: request) { return .giveUp(.superseded) }
        if waiting.older(than: request) == nil, waiting.count >= configuration.waitingLimit {
            return .shed(nextObservationAfter: drainTime(at: now))
        }
        let superseded = waiting.insert(request)
        if superseded != nil { robots.superseded(request.robot) }
        return .wait(superseding: superseded, hopeful: isHopeful(request))
    }

    /// Somebody waits who would take this worker now: nobody overtakes. Who waits for a better one does not mind.
    func isWanted(_ slot: Int, before request: SchedulerRequest, at now: MonotonicInstant) -> Bool {
        guard request.isWork, !waiting.isEmpty, let worker = slots[slot] else { return false }
        let compares = configuration.policy == .expectedDelay && scansAll
        let pace = compares ? pace(at: now).perSecond : 0
        for (position, entry) in waiting.entries.enumerated() {
            guard eligible(worker, entry, ignoringEjection: true, at: now) != nil,
                worker.capacity == nil || !entry.tried.isEmpty || !robots.isServed(entry)
            else { continue }
            guard compares else { return true }
            let best = scan(question(entry, ahead: position, pace: pace, at: now), byDelay: true)
            if best?.hasCredit == true { return true }
        }
        return false
    }

    mutating func dispatch(
        _ request: SchedulerRequest,
        to choice: Choice,
        isExtra: Bool,
        at now: MonotonicInstant
    ) -> Ticket {
        let worker = slots[choice.slot]
        let id = worker?.id ?? WorkerID(slot: 0, serial: 0)
        let batches = worker?.capacity != nil && request.isWork
        let number = nextTicket()
        let expected = choice.answer
        if request.isWork {
            slots[choice.slot]?.dispatched(number, group: choice.group, expected: expected, at: now)
            if !request.robot.isEmpty { robots.dispatched(request, to: id, batches: batches) }
        }
        active += 1
        if isExtra { extra += 1 }
        return Ticket(
            number: number,
            worker: id,
            robot: request.robot,
            incarnation: worker?.incarnation ?? 0,
            group: choice.group,
            isWork: request.isWork,
            isExtra: isExtra,
            batches: batches,
            startedAt: now,
            expected: .seconds(expected)
        )
    }

    /// Gives waiting requests to workers that have credit.
    mutating func assignments(at now: MonotonicInstant) -> [Assignment] {
        guard !waiting.isEmpty, anyCredit(at: now) else { return [] }
        var given: [Assignment] = []
        var ahead = 0
        let pace = pace(at: now)
        for request in waiting.ordered(pace, assumedRunway: configuration.assumedRunway, at: now) {
            guard let choice = best(request, ahead: ahead, pace: pace.perSecond, at: now), choice.hasCredit else {
                ahead += 1
                continue
            }
            _ = waiting.remove(request.id)
            let ticket = dispatch(request, to: choice, isExtra: !request.tried.isEmpty, at: now)
            given.append(Assignment(request: request.id, ticket: ticket))
            guard anyCredit(at: now) else { break }
        }
        return given
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
            guard let worker, worker.isUp, let opens = worker.opens(configuration, at: now), opens > now else {
                continue
            }
            first = min(first ?? opens, opens)
        }
        return first
    }

    func anyCredit(at now: MonotonicInstant) -> Bool {
        slots.contains { worker in
            guard let worker, worker.isUp, !worker.isDraining, !worker.isLeaving else { return false }
            return worker.inFlight < worker.credit(configuration, at: now)
        }
    }

    func pace(at now: MonotonicInstant) -> WaitingQueue.Pace {
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

    /// Whether a worker that could take it is up.
    func isHopeful(_ request: SchedulerRequest) -> Bool {
        slots.contains { $0.map { eligible($0, request, ignoringEjection: true, at: .distantPast) != nil } ?? false }
    }

    func drainTime(at now: MonotonicInstant) -> Duration {
        let seconds = Double(waiting.count) / max(pace(at: now).perSecond, 1)
        return min(configuration.longestHint, max(.milliseconds(1), .seconds(seconds)))
    }
}
