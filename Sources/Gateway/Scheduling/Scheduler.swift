import Foundation
import GrootCore

/// Decides which worker gets which request, and who waits. Pure; the one instance of a gateway is shared by all event
/// loops behind a mutex, and the simulator runs the same code in virtual time.
///
/// Every event returns everything that follows from it as one `Effects`. Invariant: every ticket handed out comes back
/// exactly once in `finished`.
struct Scheduler: Sendable {
    /// Changed by the events below only.
    private(set) var books: SchedulerBooks

    init(configuration: SchedulingConfiguration = SchedulingConfiguration(), seed: UInt64 = 1) {
        books = SchedulerBooks(configuration: configuration, seed: seed)
    }

    // MARK: Members

    mutating func joined(address: String) -> WorkerID { books.join(address: address) }

    /// Gets nothing new; its place is free when its books are empty.
    mutating func left(_ id: WorkerID, at now: MonotonicInstant) -> Effects {
        guard let slot = books.index(id) else { return effects(at: now) }
        books.slots[slot]?.isLeaving = true
        books.forgetIfDone(slot)
        return effects(at: now)
    }

    mutating func described(_ id: WorkerID, _ policies: [DescribedPolicy], at now: MonotonicInstant) -> Effects {
        guard let slot = books.index(id) else { return effects(at: now) }
        books.slots[slot]?.described(policies, largestBatch: books.configuration.largestBatch)
        return assigning(at: now)
    }

    /// An event loop has a healthy connection to the worker.
    mutating func reached(_ id: WorkerID, byLoop loop: Int, at now: MonotonicInstant) -> Effects {
        guard let slot = books.index(id) else { return effects(at: now) }
        _ = books.slots[slot]?.reached(byLoop: loop, at: now)
        return assigning(at: now)
    }

    mutating func lost(_ id: WorkerID, byLoop loop: Int, at now: MonotonicInstant) -> Effects {
        if let slot = books.index(id) { books.slots[slot]?.lost(byLoop: loop) }
        return effects(at: now)
    }

    /// The peer takes so many concurrent streams: a cap on its books.
    mutating func limited(_ id: WorkerID, to streams: Int, at now: MonotonicInstant) -> Effects {
        if let slot = books.index(id) { books.slots[slot]?.streamLimit = max(1, streams) }
        return effects(at: now)
    }

    mutating func drain(_ id: WorkerID, _ drains: Bool, at now: MonotonicInstant) -> Effects {
        guard let slot = books.index(id) else { return effects(at: now) }
        books.slots[slot]?.isDraining = drains
        return assigning(at: now)
    }

    /// Limits hold for what comes; nobody who waits is sent away.
    mutating func reconfigure(_ new: SchedulingConfiguration, at now: MonotonicInstant) -> Effects {
        books.configuration = new
        return effects(at: now)
    }

    // MARK: Requests

    mutating func arrived(_ request: SchedulerRequest, at now: MonotonicInstant) -> Effects {
        books.sweepIfDue(at: now)
        if request.isWork { books.robots.seen(request, at: now) }
        return effects(books.place(request, isExtra: false, at: now), at: now)
    }

    /// A worker failed it. Only what that worker cannot have seen is repeated without regard to budget and runway.
    mutating func failed(_ request: SchedulerRequest, unseen: Bool, at now: MonotonicInstant) -> Effects {
        if !unseen {
            guard books.extra < books.extraLimit else { return effects(.giveUp(.budget), at: now) }
            let limit = request.dryAt.map { $0 + books.configuration.retryLateness }
            let ahead = books.waiting.count
            if let limit, let best = books.best(request, ahead: ahead, at: now), now + .seconds(best.answer) > limit {
                return effects(.giveUp(.tooLate), at: now)
            }
        }
        return effects(books.place(request, isExtra: !unseen, at: now), at: now)
    }

    /// A second worker for a request whose robot is about to run dry, or whose answer is overdue: only one that has
    /// credit while nobody waits, and only within the budget of repetitions. No decision: there is none.
    mutating func hedged(_ request: SchedulerRequest, at now: MonotonicInstant) -> Effects {
        guard books.waiting.isEmpty, books.extra < books.extraLimit, let choice = books.best(request, at: now),
            choice.hasCredit
        else { return effects(at: now) }
        return effects(.dispatch(books.dispatch(request, to: choice, isExtra: true, at: now)), at: now)
    }

    /// It waits no more: robot gone, deadline.
    mutating func withdrew(_ id: RequestID, at now: MonotonicInstant) -> Effects {
        _ = books.waiting.remove(id)
        return effects(at: now)
    }

    /// Takes an attempt off the books and hands what became free to those who wait.
    mutating func finished(
        _ ticket: Ticket,
        _ outcome: AttemptOutcome,
        load: WorkerLoad? = nil,
        at now: MonotonicInstant
    ) -> Effects {
        books.active -= 1
        if ticket.isExtra { books.extra -= 1 }
        if ticket.isWork, !ticket.robot.isEmpty {
            books.robots.finished(ticket.robot, answered: outcome == .answered, batches: ticket.batches)
        }
        guard let slot = books.index(ticket.worker) else { return effects(at: now) }
        books.settle(slot, ticket, outcome, load, at: now)
        books.forgetIfDone(slot)
        return assigning(at: now)
    }

    /// A worker said that it does not have the checkpoint, and another one answered the same request: it should have.
    ///
    /// - Parameter named: the request names a checkpoint; without, a worker that serves several is right to refuse it.
    mutating func contradicted(_ ticket: Ticket, named: Bool, at now: MonotonicInstant) -> Effects {
        guard let slot = books.index(ticket.worker), named || (books.slots[slot]?.served?.count ?? 0) <= 1 else {
            return effects(at: now)
        }
        books.blame(slot, ticket, at: now)
        return effects(at: now)
    }

    mutating func timePassed(at now: MonotonicInstant) -> Effects { assigning(at: now) }

    // MARK: Questions

    func isWaiting(_ id: RequestID) -> Bool { books.waiting.contains(id) }

    /// Whether a worker that could take it is up.
    func isHopeful(_ request: SchedulerRequest) -> Bool { books.isHopeful(request) }

    func worker(_ id: WorkerID) -> SchedulerWorker? { books.worker(id) }

    /// After what time a robot should observe again; nil while nobody need hold back.
    func nextObservationAfter(at now: MonotonicInstant) -> Duration? { books.nextObservationAfter(at: now) }

    private mutating func assigning(at now: MonotonicInstant) -> Effects {
        var effects = Effects()
        effects.assignments = books.assignments(at: now)
        return completed(effects, at: now)
    }

    private mutating func effects(_ decision: SchedulingDecision? = nil, at now: MonotonicInstant) -> Effects {
        var effects = Effects()
        effects.decision = decision
        return completed(effects, at: now)
    }

    private mutating func completed(_ effects: Effects, at now: MonotonicInstant) -> Effects {
        var effects = effects
        if !books.ejected.isEmpty {
            effects.ejected = books.ejected
            books.ejected = []
        }
        effects.waiting = books.waiting.count
        effects.wakeAt = books.wakeAt(after: now)
        return effects
    }
}
