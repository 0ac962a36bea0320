import GrootCore

/// One proxied request from its head to its end: what it waits for, who has it in hand, what it is answered. Pure.
///
/// Events come in, actions come out; the shell, `ProxyRequest`, carries them out and keeps nothing that decides
/// anything. Control-plane calls go the same way, with attempts that have no ticket.
struct RequestMachine: Sendable {
    /// What it may do.
    struct Rules: Sendable {
        /// Attempts in all.
        var attempts = 3
        /// A second worker when the robot is about to run dry.
        var hedges = false
        /// A second worker when the answer is so late, and three times as late as expected; zero: never.
        var overdue = Duration.milliseconds(200)
        /// From the head to the last byte of the request.
        var uploadTimeout = Duration.seconds(30)
        /// Bytes per second of an upload, after a grace of a second.
        var uploadRate = 4096
        /// Longest wait for a worker to come up.
        var holdLimit = Duration.seconds(2)
        /// How often a second worker is looked for again.
        var hedgePause = Duration.milliseconds(50)
    }

    /// One attempt that is under way.
    struct Try: Sendable, Equatable {
        /// From 1.
        var number: Int
        /// Nil for the control plane.
        var ticket: Ticket?
    }

    enum State: Sendable, Equatable {
        /// The body is on its way; nobody else is concerned.
        case receiving(since: MonotonicInstant, byteCount: Int, lookAt: MonotonicInstant)
        /// The body is complete. `queued`: it has a place in a queue, and is looked at again at that instant.
        case waiting(queued: MonotonicInstant?)
        /// `hedgeAt`: a second worker is asked then; nil when there will be none.
        case sent(Try, hedgeAt: MonotonicInstant?)
        /// Two workers have it; the first to answer wins.
        case hedged(Try, Try)
        /// An answer is passed on as it comes.
        case responded(Try)
        case ended
    }

    enum Action: Sendable, Equatable {
        /// Ask the scheduler (or the control plane) for somebody who takes it.
        case schedule
        /// The same after a failure.
        case reschedule(unseen: Bool)
        case askHedge
        case open(Try)
        /// Not needed any more, never used.
        case giveBack(Ticket)
        /// This worker said that it does not have the checkpoint, and another one had it.
        case contradict(Ticket)
        case cancel(Int, AttemptOutcome)
        /// Leave the queue.
        case withdraw
        /// Say whether anybody could take it, in `looked`.
        case look
        /// The upload is over: complete or not.
        case uploaded
        /// Headers and what there is of the body go to the robot, the rest follows.
        case passOn(Int)
        /// The whole answer of this attempt goes to the robot.
        case deliver(Int)
        /// The passed answer is complete.
        case finish
        /// The gateway's own answer.
        case answer(GRPCStatus, hint: Duration?)
        /// The end of an answer that was passed on and does not come to its own.
        case cutOff(GRPCStatus)
        case reset
    }

    /// Why a request got no worker.
    enum Denial: Sendable, Equatable {
        case shed(GRPCStatus, hint: Duration)
        case superseded(GRPCStatus)
        /// It is not repeated; what is said of that follows the failure's own text.
        case givenUp(String)
    }

    /// Why the last attempt brought no answer.
    struct Failure: Sendable, Equatable {
        var status: GRPCStatus
        /// Somebody who comes up may still take it; else there is no point in waiting.
        var isHeld: Bool
    }

    private(set) var state: State
    let deadline: MonotonicInstant
    let rules: Rules
    private let dryAt: MonotonicInstant?
    /// Attempts so far.
    private(set) var attempts = 0
    /// Attempts that it may have in all; fewer once a connection was lost with it.
    private(set) var attemptLimit: Int
    /// What to say when nobody is left to ask.
    private(set) var failure: Failure?
    /// Workers that it goes to no more.
    private(set) var tried: [SchedulerRequest.Tried] = []
    /// Attempts on workers that said that they do not have the checkpoint.
    private var misplaced: [Ticket] = []
    /// It names a checkpoint: a worker that comes up may have it.
    private let selects: Bool

    init(
        rules: Rules,
        dryAt: MonotonicInstant? = nil,
        selects: Bool = false,
        deadline: MonotonicInstant,
        at now: MonotonicInstant
    ) {
        self.rules = rules
        self.selects = selects
        self.dryAt = dryAt
        self.deadline = deadline
        attemptLimit = rules.attempts
        state = .receiving(since: now, byteCount: 0, lookAt: now + min(.seconds(2), rules.uploadTimeout))
    }

    var isEnded: Bool { state == .ended }

    /// When to call `timePassed` at the latest.
    var wakeAt: MonotonicInstant {
        switch state {
        case .receiving(_, _, let look): min(deadline, look)
        case .waiting(let look?): min(deadline, look)
        case .sent(_, let hedge?): min(deadline, hedge)
        default: deadline
        }
    }

    // MARK: The robot

    mutating func bodyArrived(_ count: Int) {
        guard case .receiving(let since, let byteCount, let look) = state else { return }
        state = .receiving(since: since, byteCount: byteCount + count, lookAt: look)
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
        attempts += 1
        let next = Try(number: attempts, ticket: ticket)
        state = .sent(next, hedgeAt: hedgeAt(ticket, at: now))
        return [.open(next)]
    }

    /// It has a place in the queue. `hopeful`: somebody who could take it is up.
    mutating func queued(hopeful: Bool, at now: MonotonicInstant) -> [Action] {
        guard case .waiting = state else { return [.withdraw] }
        state = .waiting(queued: now + rules.holdLimit)
        if !hopeful, let failure, !failure.isHeld { return end(with: failure.status) }
        return []
    }

    /// What was looked for: whether anybody could take it, and what to say if not.
    mutating func looked(hopeful: Bool, otherwise refusal: @autoclosure () -> GRPCStatus, at now: MonotonicInstant)
        -> [Action]
    {
        guard case .waiting(.some) = state else { return [] }
        guard !hopeful else {
            state = .waiting(queued: now + rules.holdLimit)
            return []
        }
        // What a worker says of the checkpoint is more than that nobody is left.
        if let failure, failure.status.code == .notFound { return end(with: failure.status) }
        return end(with: refusal())
    }

    mutating func denied(_ denial: Denial) -> [Action] {
        guard case .waiting = state else { return [] }
        state = .waiting(queued: nil)
        switch denial {
        case .shed(let status, let hint): return end(with: status, hint: hint)
        case .superseded(let status): return end(with: status)
        case .givenUp(let why):
            var status = failure?.status ?? GRPCStatus(.unavailable, "no worker available")
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
        attempts += 1
        let second = Try(number: attempts, ticket: ticket)
        state = .hedged(first, second)
        return [.open(second)]
    }

    // MARK: The attempts

    /// An answer begins that is passed on as it comes.
    mutating func answerBegan(_ number: Int) -> [Action] {
        switch state {
        case .sent(let running, _) where running.number == number:
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
        case .sent(let running, _) where running.number == number:
            if verdict.next == .answer { return delivering(number, verdict) }
            noteFailure(verdict, status, of: running)
            return again(unseen: verdict.next == .elsewhere(seen: false))
        case .hedged(let first, let second) where [first.number, second.number].contains(number):
            let (ended, other) = first.number == number ? (first, second) : (second, first)
            if verdict.next == .answer {
                let outcome: AttemptOutcome = other.number < number ? .overtaken : .abandoned
                return [.cancel(other.number, outcome)] + delivering(number, verdict)
            }
            // The other one goes on; there is no third at a time.
            noteFailure(verdict, status, of: ended)
            state = .sent(other, hedgeAt: nil)
            return []
        case .responded(let running) where running.number == number:
            state = .ended
            return [.cutOff(status)]
        default: return []
        }
    }

    /// The worker of this attempt fails its health checks. It is left only for somebody else who is there.
    mutating func workerWentDown(_ number: Int, elsewhere: Bool, _ status: GRPCStatus) -> [Action] {
        guard elsewhere, mayRepeat else { return [] }
        switch state {
        case .sent(let running, _) where running.number == number:
            noteFailure(OutcomeTable.verdict(.unhealthy), status, of: running)
            return [.cancel(number, .failed)] + again(unseen: false)
        case .hedged(let first, let second) where [first.number, second.number].contains(number):
            state = .sent(first.number == number ? second : first, hedgeAt: nil)
            failure = Failure(status: status, isHeld: true)
            return [.cancel(number, .failed)]
        default: return []
        }
    }

    // MARK: Time

    mutating func timePassed(at now: MonotonicInstant, waitingFor reason: () -> String) -> [Action] {
        guard now < deadline else { return deadlinePassed(reason) }
        switch state {
        case .receiving(let since, let byteCount, let look):
            guard now >= look else { return [] }
            if let status = uploadFailure(since, byteCount, at: now) { return end(with: status) }
            state = .receiving(
                since: since,
                byteCount: byteCount,
                lookAt: min(now + .seconds(1), max(now, since + rules.uploadTimeout))
            )
            return []
        case .waiting(let look?) where now >= look: return [.look]
        case .sent(let running, let hedge?) where now >= hedge:
            guard mayRepeat else {
                state = .sent(running, hedgeAt: nil)
                return []
            }
            exclude(running, everIncarnation: false)
            return [.askHedge]
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
        case .sent, .hedged, .responded:
            return end(with: GRPCStatus(.deadlineExceeded, "the deadline passed at the gateway"))
        }
    }

    private func uploadFailure(_ since: MonotonicInstant, _ byteCount: Int, at now: MonotonicInstant) -> GRPCStatus? {
        let took = now - since
        if took >= rules.uploadTimeout {
            return GRPCStatus(
                .deadlineExceeded,
                "the request was not complete after \(Int64(took.milliseconds)) ms (upload-timeout-ms)"
            )
        }
        guard Double(byteCount) < Double(rules.uploadRate) * (took.seconds - 1) else { return nil }
        return GRPCStatus(
            .deadlineExceeded,
            "\(byteCount) bytes of the request came in \(Int64(took.milliseconds)) ms: too slow (upload-rate)"
        )
    }
}

extension RequestMachine {
    var mayRepeat: Bool { attempts < attemptLimit }

    private func hedgeAt(_ ticket: Ticket?, at now: MonotonicInstant) -> MonotonicInstant? {
        guard let ticket, ticket.isWork, mayRepeat else { return nil }
        let expected = ticket.expected
        var instant: MonotonicInstant?
        if rules.overdue > .zero { instant = now + max(rules.overdue, expected * 3) }
        if rules.hedges, attempts == 1, let dryAt {
            // The last moment at which another one could still save it; at once when the answer may come too late.
            let last = max(now + .milliseconds(1), dryAt + (.zero - expected * 1.5))
            instant = min(instant ?? last, last)
        }
        return instant
    }

    private mutating func noteFailure(_ verdict: OutcomeTable.Verdict, _ status: GRPCStatus, of ended: Try) {
        let isHeld = verdict.fault == .elsewhere ? selects : verdict.next != .elsewhere(seen: true)
        failure = Failure(status: status, isHeld: isHeld)
        // What the worker has not seen says nothing about it: after a GOAWAY it has another connection.
        if verdict.fault != .network || verdict.next == .elsewhereOnce {
            exclude(ended, everIncarnation: verdict.next == .elsewhereOnce)
        }
        if verdict.fault == .elsewhere, let ticket = ended.ticket { misplaced.append(ticket) }
        // It may be what broke the connection: one more attempt, or the one that is under way beside it.
        if verdict.next == .elsewhereOnce { attemptLimit = min(attemptLimit, max(attempts, ended.number + 1)) }
    }

    private mutating func exclude(_ attempt: Try, everIncarnation: Bool) {
        guard let ticket = attempt.ticket else { return }
        let incarnation = everIncarnation ? nil : ticket.incarnation
        let entry = SchedulerRequest.Tried(worker: ticket.worker, incarnation: incarnation)
        if !tried.contains(entry) { tried.append(entry) }
    }

    private mutating func again(unseen: Bool) -> [Action] {
        guard mayRepeat else {
            state = .waiting(queued: nil)
            return end(with: failure?.status ?? GRPCStatus(.unavailable, "no worker available"))
        }
        state = .waiting(queued: nil)
        return [.reschedule(unseen: unseen)]
    }

    private mutating func delivering(_ number: Int, _ verdict: OutcomeTable.Verdict) -> [Action] {
        state = .ended
        guard verdict.fault == .nobody, !misplaced.isEmpty else { return [.deliver(number)] }
        return [.deliver(number)] + misplaced.map { .contradict($0) }
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
        case .sent(let running, _), .responded(let running): return [.cancel(running.number, .abandoned)]
        case .hedged(let first, let second):
            return [.cancel(first.number, .abandoned), .cancel(second.number, .abandoned)]
        case .ended: return []
        }
    }
}
