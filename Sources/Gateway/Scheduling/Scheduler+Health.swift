import GrootCore

/// What an attempt says of its worker: books, penalties, ejections.
extension Scheduler {
    mutating func settle(
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
            guard let rate = slots[slot]?.outlier.sweep(configuration.outlier, at: now) else { continue }
            rates.append((slot, rate))
        }
        guard let threshold = OutlierDetector.threshold(rates.map(\.rate), configuration.outlier) else { return }
        for (slot, rate) in rates where rate < threshold { eject(slot, at: now) }
    }

    mutating func forgetIfDone(_ slot: Int) {
        guard let worker = slots[slot], worker.isLeaving, worker.inFlight == 0 else { return }
        slots[slot] = nil
        while let last = slots.last, last == nil { slots.removeLast() }
    }

    mutating func takeEjections() -> [WorkerID] {
        guard !ejected.isEmpty else { return [] }
        defer { ejected = [] }
        return ejected
    }

    func index(_ id: WorkerID) -> Int? {
        guard slots.indices.contains(id.slot), slots[id.slot]?.id == id else { return nil }
        return id.slot
    }
}

extension MonotonicInstant {
    /// Before everything: no ejection or penalty has ended yet.
    static let distantPast = MonotonicInstant(nanoseconds: .min / 2)
}
