import GrootCore

/// What an attempt says of its worker: books, penalties, ejections.
extension SchedulerBooks {
    mutating func settle(
        _ slot: Int,
        _ ticket: Ticket,
        _ outcome: AttemptOutcome,
        _ load: WorkerLoad?,
        at now: MonotonicInstant
    ) {
        if ticket.isWork {
            switch outcome {
            case .answered: slots[slot]?.answered(ticket, load, configuration, at: now)
            case .abandoned where isOverdue(ticket, at: now): slots[slot]?.withdrew(ticket)
            case .abandoned, .overtaken: slots[slot]?.abandoned(ticket, at: now)
            case .declined, .misplaced, .refused, .failed, .neverSeen: slots[slot]?.withdrew(ticket)
            }
        }
        guard slots[slot]?.incarnation == ticket.incarnation else { return }
        switch outcome {
        case .answered: slots[slot]?.outlier.succeeded()
        case .declined:
            guard ticket.isWork, !ticket.robot.isEmpty else { return }
            let robot = StableHash.of(ticket.robot)
            if slots[slot]?.outlier.declined(robot, configuration.outlier) == true { eject(slot, at: now) }
        case .misplaced, .neverSeen: break
        case .abandoned: if isOverdue(ticket, at: now) { blame(slot, ticket, at: now) }
        case .overtaken:
            // No penalty: its estimate says already how late it is.
            guard now - ticket.startedAt >= ticket.expected * 3 + SchedulerWorker.grace else { return }
            if slots[slot]?.outlier.failed(configuration.outlier) == true { eject(slot, at: now) }
        case .refused(let after):
            let wait = min(after ?? .zero, configuration.longestPushback)
            slots[slot]?.penalised(max(wait, configuration.failurePenalty), at: now)
        case .failed: blame(slot, ticket, at: now)
        }
    }

    /// Given up after far more than was expected: a time-out. Given up before that, it says nothing of the worker,
    /// however short the caller's patience.
    private func isOverdue(_ ticket: Ticket, at now: MonotonicInstant) -> Bool {
        ticket.isWork && now - ticket.startedAt >= max(configuration.outlier.timeout, ticket.expected * 3)
    }

    /// A failure of the worker's own.
    mutating func blame(_ slot: Int, _ ticket: Ticket, at now: MonotonicInstant) {
        guard slots[slot]?.incarnation == ticket.incarnation else { return }
        slots[slot]?.penalised(configuration.failurePenalty, at: now)
        if slots[slot]?.outlier.failed(configuration.outlier) == true { eject(slot, at: now) }
    }

    mutating func eject(_ slot: Int, at now: MonotonicInstant) {
        let members = slots.count { $0.map { !$0.isLeaving } ?? false }
        let out = slots.count { $0.map { $0.outlier.isEjected(at: now) } ?? false }
        let allowed = max(1, Int(configuration.outlier.maxEjectedShare * Double(members)))
        guard out < allowed, let id = slots[slot]?.id else { return }
        slots[slot]?.outlier.eject(configuration.outlier, at: now)
        ejectionsEnd = max(ejectionsEnd, now + configuration.outlier.longestEjection)
        ejected.append(id)
    }

    /// Too few are left: then all that are up are used, ejected or not.
    func isPanicking(at now: MonotonicInstant) -> Bool {
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

    mutating func sweepIfDue(at now: MonotonicInstant) {
        guard now >= nextSweep else { return }
        nextSweep = now + configuration.outlier.sweepInterval
        var rates: [(slot: Int, rate: Double)] = []
        for slot in slots.indices {
            guard let interval = slots[slot]?.outlier.sweep(configuration.outlier, at: now) else { continue }
            if interval.isBad { eject(slot, at: now) }
            if let rate = interval.comparable { rates.append((slot, rate)) }
        }
        guard let threshold = OutlierDetector.threshold(rates.map(\.rate), configuration.outlier) else { return }
        for (slot, rate) in rates where rate < threshold { eject(slot, at: now) }
    }

    mutating func forgetIfDone(_ slot: Int) {
        guard let worker = slots[slot], worker.isLeaving, worker.inFlight == 0 else { return }
        slots[slot] = nil
        while let last = slots.last, last == nil { slots.removeLast() }
    }
}

extension MonotonicInstant {
    /// Before everything: no ejection or penalty has ended yet.
    static let distantPast = MonotonicInstant(nanoseconds: .min / 2)
}
