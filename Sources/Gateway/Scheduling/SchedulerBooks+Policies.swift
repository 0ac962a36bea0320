import GrootCore

/// The policies: each goes through the workers in its own way.
extension SchedulerBooks {
    func scan(_ question: Question, byDelay: Bool) -> Choice? {
        var best: Choice?
        var last: Choice?
        let robot = question.request.robot
        let lastWorker = byDelay && !robot.isEmpty ? robots.lastWorker(of: robot) : nil
        for offset in slots.indices {
            let slot = (offset + turn) % slots.count
            guard let candidate = choice(slot, question) else { continue }
            if let lastWorker, slots[slot]?.id == lastWorker { last = candidate }
            if best.map({ isBetter(candidate, $0, byDelay: byDelay, at: question.now) }) ?? true { best = candidate }
        }
        // Chunks of one robot fit each other better when one worker makes them: stay while it is equally good.
        if let last, let found = best, last.hasCredit, last.slot != found.slot, found.hasCredit,
            last.delay <= found.delay * (1 + configuration.affinity), isWithinBound(last.slot)
        {
            return last
        }
        return best
    }

    mutating func ofTwo(_ question: Question, byDelay: Bool) -> Choice? {
        var first: Choice?
        // Without replacement: two different ones, or all when luck does not find two.
        for _ in 0..<(2 * slots.count) {
            let slot = Int(nextRandom() % UInt64(max(1, slots.count)))
            guard slot != first?.slot, let candidate = choice(slot, question) else {
                continue
            }
            guard let other = first else {
                first = candidate
                continue
            }
            if candidate.hasCredit != other.hasCredit { return candidate.hasCredit ? candidate : other }
            if !candidate.hasCredit { break }
            return isBetter(candidate, other, byDelay: byDelay, at: question.now) ? candidate : other
        }
        return scan(question, byDelay: byDelay)
    }

    func next(_ question: Question) -> Choice? {
        var full: Choice?
        var penalised: Choice?
        for offset in slots.indices {
            let slot = (offset + turn) % slots.count
            guard let candidate = choice(slot, question) else { continue }
            guard candidate.hasCredit || !question.request.isWork else {
                full = full ?? candidate
                continue
            }
            if let worker = slots[slot], worker.penaltyUntil > question.now {
                penalised = penalised ?? candidate
                continue
            }
            var chosen = candidate
            chosen.hasCredit = true
            return chosen
        }
        return penalised ?? full
    }

    /// Highest random weight: a robot's worker changes only when its own worker comes or goes. Bounded load: a worker
    /// above its share is passed over.
    func hashed(_ question: Question) -> Choice? {
        let key = StableHash.of(question.request.robot)
        var best: (choice: Choice, weight: UInt64)?
        var fallback: (choice: Choice, weight: UInt64)?
        for slot in slots.indices {
            guard let worker = slots[slot], let candidate = choice(slot, question) else {
                continue
            }
            let weight = StableHash.mixed(key ^ worker.hash)
            if candidate.hasCredit, isWithinBound(slot), worker.penaltyUntil <= question.now {
                if best.map({ weight > $0.weight }) ?? true { best = (candidate, weight) }
            } else if fallback.map({ weight > $0.weight }) ?? true {
                fallback = (candidate, weight)
            }
        }
        return best?.choice ?? fallback?.choice
    }
}
