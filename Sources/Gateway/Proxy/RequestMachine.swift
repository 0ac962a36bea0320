import GrootCore

/// One proxied request from its head to its end: what it waits for, who has it in hand, what it is answered. Pure.
///
/// Events come in, actions come out; the shell, `ProxyRequest`, carries them out and keeps nothing that decides
/// anything. Control-plane calls go the same way, with attempts that have no ticket.
struct RequestMachine: Sendable {
    /// One attempt that is under way.
    struct Try: Sendable, Equatable {
        /// From 1.
        var number: Int
        /// Nil for the control plane.
        var ticket: Ticket?
    }

    enum State: Sendable, Equatable {
        /// The body is on its way; nobody else is concerned.
        case receiving(UploadWatch)
        /// The body is complete. `queued`: it has a place in a queue, and is looked at again at that instant.
        case waiting(queued: MonotonicInstant?)
        /// `hedgeAt`: a second worker is asked then; nil when there will be none.
        case sent(Try, hedgeAt: MonotonicInstant?)
        /// Two workers have it; the first to answer wins.
        case hedged(Try, Try)
        /// Its worker is down and nobody else is there: the answer is welcome, until then it is waited for.
        case forsaken(Try, until: MonotonicInstant)
        /// An answer is passed on as it comes.
        case responded(Try)
        case ended
    }

    private(set) var state: State
    let deadline: MonotonicInstant
    let rules: Rules
    private let dryAt: MonotonicInstant?
    private(set) var record: AttemptRecord

    init(
        rules: Rules,
        dryAt: MonotonicInstant? = nil,
        selects: Bool = false,
        deadline: MonotonicInstant,
        at now: MonotonicInstant
    ) {
        self.rules = rules
        self.dryAt = dryAt
        self.deadline = deadline
        record = AttemptRecord(limit: rules.attempts, selects: selects)
        state = .receiving(UploadWatch(rules, at: now))
    }

    var isEnded: Bool { state == .ended }

    /// When to call `timePassed` at the latest.
    var wakeAt: MonotonicInstant {
        switch state {
        case .receiving(let upload): min(deadline, upload.lookAt)
        case .waiting(let look?): min(deadline, look)
        case .sent(_, let hedge?): min(deadline, hedge)
        case .forsaken(_, let until): min(deadline, until)
        default: deadline
        }
    }

    // MARK: The robot

    mutating func bodyArrived(_ count: Int) {
        guard case .receiving(var upload) = state else { return }
        upload.arrived(count)
        state = .receiving(upload)
    }

    /// The last byte of the request is there.
    mutating func bodyEnded() -> [Action] {
        guard case .receiving = state else { return [] }
        state = .waiting(queued: nil)
        return [.uploaded, .schedule]
    }

    /// The gateway itself refuses it: malformed, over a budget, too large.
    mutating func refused(_ status: GRPCStatus) -> [Action] { end(with: status) }

    mutating func robotLeft() -> [Action] {
        guard !isEnded else { return [] }
        return end()
    }

    // MARK: The scheduler

    mutating func dispatched(_ ticket: Ticket?, at now: MonotonicInstant) -> [Action] {
        guard case .waiting = state else { return ticket.map { [.giveBack($0)] } ?? [] }
        let next = record.began(ticket)
        state = .sent(next, hedgeAt: hedgeAt(ticket, at: now))
        return [.open(next)]
    }

    /// It has a place in the queue. `hopeful`: somebody who could take it is up.
    mutating func queued(hopeful: Bool, at now: MonotonicInstant) -> [Action] {
        guard case .waiting = state else { return [.withdraw] }
        state = .waiting(queued: now + rules.holdLimit)
        if !hopeful, let failure = record.failure, !failure.isHeld { return end(with: failure.status) }
        return []
    }

    /// What was looked for: whether anybody could take it, and what to say if not.
    mutating func looked(hopeful: Bool, otherwise refusal: @autoclosure () -> GRPCStatus, at now: MonotonicInstant)
        -> [Action]
    {
        switch state {
        case .waiting(.some) where hopeful:
            state = .waiting(queued: now + rules.holdLimit)
            return []
        case .waiting(.some):
            // What a worker says of the checkpoint is more than that nobody is left.
            if let failure = record.failure, failure.status.code == .notFound { return end(with: failure.status) }
            return end(with: refusal())
        case .forsaken(let running, _) where hopeful:
            state = .sent(running, hedgeAt: record.mayRepeat ? now : nil)
            return []
        case .forsaken(let running, _):
            state = .waiting(queued: nil)
            return [.cancel(running.number, .failed)] + end(with: refusal())
        default: return []
        }
    }

    mutating func denied(_ denial: Denial) -> [Action] {
        guard case .waiting = state else { return [] }
        state = .waiting(queued: nil)
        switch denial {
        case .shed(let status, let hint): return end(with: status, hint: hint)
        case .superseded(let status): return end(with: status)
        case .givenUp(let why):
            var status = record.failure?.status ?? GRPCStatus(.unavailable, "no worker available")
            status.message += why
            return end(with: status)
        }
    }

    mutating func hedgeDispatched(_ ticket: Ticket?, at now: MonotonicInstant) -> [Action] {
        guard case .sent(let first, .some) = state else { return ticket.map { [.giveBack($0)] } ?? [] }
        guard let ticket else {
            state = .sent(first, hedgeAt: now + rules.hedgePause)
            return []
        }
        let second = record.began(ticket)
        state = .hedged(first, second)
        return [.open(second)]
    }

    // MARK: The attempts

    /// An answer begins that is passed on as it comes.
    mutating func answerBegan(_ number: Int) -> [Action] {
        switch state {
        case .sent(let running, _) where running.number == number,
            .forsaken(let running, _) where running.number == number:
            state = .responded(running)
            return [.passOn(number)]
        case .hedged(let first, let second) where [first.number, second.number].contains(number):
            let (winner, loser) = first.number == number ? (first, second) : (second, first)
            state = .responded(winner)
            return [.cancel(loser.number, .abandoned), .passOn(number)]
        default: return []
        }
    }

    /// A passed answer is complete.
    mutating func answerEnded(_ number: Int) -> [Action] {
        guard case .responded(let running) = state, running.number == number else { return [] }
        state = .ended
        return [.finish]
    }

    /// An attempt is over, and its stream too. The table says what that means.
    mutating func attemptEnded(_ number: Int, _ verdict: OutcomeTable.Verdict, _ status: GRPCStatus) -> [Action] {
        switch state {
        case .sent(let running, _) where running.number == number,
            .forsaken(let running, _) where running.number == number:
            if verdict.next == .answer { return delivering(number, verdict) }
            record.failed(verdict, status, of: running)
            return again(unseen: verdict.next == .elsewhere(seen: false))
        case .hedged(let first, let second) where [first.number, second.number].contains(number):
            let (ended, other) = first.number == number ? (first, second) : (second, first)
            if verdict.next == .answer {
                let outcome: AttemptOutcome = other.number < number ? .overtaken : .abandoned
                return [.cancel(other.number, outcome)] + delivering(number, verdict)
            }
            // The other one goes on; there is no third at a time.
            record.failed(verdict, status, of: ended)
            state = .sent(other, hedgeAt: nil)
            return []
        case .responded(let running) where running.number == number:
            state = .ended
            return [.cutOff(status)]
        default: return []
        }
    }

    /// The worker of this attempt fails its health checks. It is left for somebody else who is there or has it too; else its
    /// answer is waited for as long as for a worker to come up.
    mutating func workerWentDown(_ number: Int, elsewhere: Bool, _ status: GRPCStatus, at now: MonotonicInstant)
        -> [Action]
    {
        switch state {
        case .sent(let running, _) where running.number == number:
            guard elsewhere, record.mayRepeat else {
                record.forsaken(status)
                state = .forsaken(running, until: now + rules.holdLimit)
                return []
            }
            record.failed(OutcomeTable.verdict(.unhealthy), status, of: running)
            return [.cancel(number, .failed)] + again(unseen: false)
        case .hedged(let first, let second) where [first.number, second.number].contains(number):
            record.forsaken(status)
            state = .sent(first.number == number ? second : first, hedgeAt: nil)
            return [.cancel(number, .failed)]
        default: return []
        }
    }

    // MARK: Time

    mutating func timePassed(at now: MonotonicInstant, waitingFor reason: () -> String) -> [Action] {
        guard now < deadline else { return deadlinePassed(reason) }
        switch state {
        case .receiving(var upload):
            if let status = upload.timePassed(rules, at: now) { return end(with: status) }
            state = .receiving(upload)
            return []
        case .waiting(let look?) where now >= look: return [.look]
        case .sent(let running, let hedge?) where now >= hedge:
            guard record.mayRepeat else {
                state = .sent(running, hedgeAt: nil)
                return []
            }
            record.isLate(running)
            return [.askHedge]
        case .forsaken(_, let until) where now >= until: return [.look]
        default: return []
        }
    }

    private mutating func deadlinePassed(_ reason: () -> String) -> [Action] {
        switch state {
        case .ended: return [.reset]
        case .receiving:
            return end(with: GRPCStatus(.deadlineExceeded, "the deadline passed before the request was complete"))
        case .waiting:
            return end(with: GRPCStatus(.deadlineExceeded, "the deadline passed at the gateway: \(reason())"))
        case .sent, .hedged, .forsaken, .responded:
            return end(with: GRPCStatus(.deadlineExceeded, "the deadline passed at the gateway"))
        }
    }
}

extension RequestMachine {
    private func hedgeAt(_ ticket: Ticket?, at now: MonotonicInstant) -> MonotonicInstant? {
        guard let ticket, ticket.isWork, record.mayRepeat else { return nil }
        let expected = ticket.expected
        var instant: MonotonicInstant?
        if rules.overdue > .zero { instant = now + max(rules.overdue, expected * 3) }
        if rules.hedges, record.count == 1, let dryAt {
            // The last moment at which another one could still save it; at once when the answer may come too late.
            let last = max(now + .milliseconds(1), dryAt + (.zero - expected * 1.5))
            instant = min(instant ?? last, last)
        }
        return instant
    }

    private mutating func again(unseen: Bool) -> [Action] {
        guard record.mayRepeat else {
            state = .waiting(queued: nil)
            return end(with: record.failure?.status ?? GRPCStatus(.unavailable, "no worker available"))
        }
        state = .waiting(queued: nil)
        return [.reschedule(unseen: unseen)]
    }

    private mutating func delivering(_ number: Int, _ verdict: OutcomeTable.Verdict) -> [Action] {
        state = .ended
        guard verdict.fault == .nobody, !record.misplaced.isEmpty else { return [.deliver(number)] }
        return [.deliver(number)] + record.misplaced.map { .contradict($0) }
    }

    private mutating func end(with status: GRPCStatus, hint: Duration? = nil) -> [Action] {
        switch state {
        case .ended: return []
        case .responded: return end() + [.cutOff(status)]
        default: return end() + [.answer(status, hint: hint)]
        }
    }

    /// Gives back what it holds.
    private mutating func end() -> [Action] {
        defer { state = .ended }
        switch state {
        case .receiving: return [.uploaded]
        case .waiting(let queued): return queued == nil ? [] : [.withdraw]
        case .sent(let running, _), .forsaken(let running, _), .responded(let running):
            return [.cancel(running.number, .abandoned)]
        case .hedged(let first, let second):
            return [.cancel(first.number, .abandoned), .cancel(second.number, .abandoned)]
        case .ended: return []
        }
    }
}
