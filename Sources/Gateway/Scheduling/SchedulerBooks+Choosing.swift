import GrootCore

/// Which worker a policy prefers for a request.
extension SchedulerBooks {
    struct Choice {
        var slot: Int
        var group: Int
        /// Seconds until the answer.
        var answer: Double
        /// The same with what counts for the choice only: a new worker gets less, one under penalty last.
        var delay: Double
        var hasCredit: Bool
    }

    /// What is asked: who should take this request, with so many before it in the queue.
    struct Question {
        var request: SchedulerRequest
        var ahead: Int
        var ignoringEjection: Bool
        var now: MonotonicInstant
        /// Requests per second of all workers; zero while nobody is ahead.
        var pace = 0.0
    }

    /// The worker that the policy prefers. By expected delay it may be one without credit: then waiting for it is
    /// better than what has credit, for instance a worker that fails fast, or one that is much slower.
    ///
    /// - Parameter pace: of all workers, when the caller knows it already.
    mutating func best(
        _ request: SchedulerRequest,
        ahead: Int = 0,
        pace: Double? = nil,
        at now: MonotonicInstant
    ) -> Choice? {
        turn &+= 1
        let question = question(request, ahead: ahead, pace: pace, at: now)
        if !request.isWork { return next(question) }
        switch configuration.policy {
        case .roundRobin: return next(question)
        case .consistentHash: return hashed(question)
        case .powerOfTwo: return ofTwo(question, byDelay: false)
        case .leastRequest: return scan(question, byDelay: false)
        case .expectedDelay:
            return scansAll ? scan(question, byDelay: true) : ofTwo(question, byDelay: true)
        }
    }

    var scansAll: Bool { slots.count <= configuration.fullScanLimit }

    func question(_ request: SchedulerRequest, ahead: Int, pace known: Double? = nil, at now: MonotonicInstant)
        -> Question
    {
        var question = Question(request: request, ahead: ahead, ignoringEjection: isPanicking(at: now), now: now)
        if ahead > 0 { question.pace = known ?? pace(at: now).perSecond }
        return question
    }

    func choice(_ slot: Int, _ question: Question) -> Choice? {
        let (request, now) = (question.request, question.now)
        guard let worker = slots[slot],
            let group = eligible(worker, request, ignoringEjection: question.ignoringEjection, at: now)
        else { return nil }
        var hasCredit = worker.inFlight < worker.credit(configuration, at: now)
        if hasCredit, worker.capacity != nil, request.isWork, request.tried.isEmpty, waiting.discipline != .fifo {
            hasCredit = !robots.isServed(request)
        }
        // Those before it in the queue go to the workers as fast as these are.
        let share = question.ahead > 0 && !hasCredit ? worker.pace(at: now) / max(question.pace, 1e-9) : 0
        let ahead = Int((Double(question.ahead) * share).rounded())
        let answer = worker.answerTime(group: group, ahead: ahead, at: now)
        let delay = worker.weighed(answer, configuration, at: now)
        return Choice(slot: slot, group: group, answer: answer, delay: delay, hasCredit: hasCredit)
    }

    /// Position of the books for the request, or nil when this worker must not get it.
    func eligible(
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
            request.tried.contains(where: { $0.excludes(worker.id, worker.incarnation) })
        {
            return nil
        }
        return worker.group(for: request.checkpoint)
    }

    func isBetter(_ candidate: Choice, _ best: Choice, byDelay: Bool, at now: MonotonicInstant) -> Bool {
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
    func load(_ slot: Int, at now: MonotonicInstant) -> Double {
        guard let worker = slots[slot] else { return .infinity }
        let penalty = max(0, (worker.penaltyUntil - now).seconds)
        return (Double(worker.inFlight) + 1) / worker.weight(configuration, at: now) + penalty * 1000
    }

    /// One more request keeps the worker within its share of the load.
    func isWithinBound(_ slot: Int) -> Bool {
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

    mutating func nextRandom() -> UInt64 {
        random &+= 0x9E37_79B9_7F4A_7C15
        return StableHash.mixed(random)
    }
}
