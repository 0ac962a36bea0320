import Foundation
import GrootCore

/// Decides which worker gets which request, and who waits. Pure; the one instance of a gateway is shared by all event
/// loops behind a mutex, and the simulator runs the same code in virtual time.
///
/// Invariants: every ticket handed out comes back exactly once in `finished`; a worker's books never exceed its credit;
/// a request is either on one worker's books, or waits, or is unknown here (hedges: on two workers' books).
struct Scheduler: Sendable {
    private(set) var configuration: SchedulingConfiguration
    var slots: [SchedulerWorker?] = []
    var waiting: WaitingQueue
    var robots: RobotTable
    /// Requests on the books of all workers, and those of them that are repetitions or hedges.
    var active = 0
    var extra = 0
    private var serial: UInt32 = 0
    var turn = 0
    var random: UInt64
    /// No worker is ejected after this instant.
    var ejectionsEnd = MonotonicInstant(nanoseconds: 0)
    var nextSweep = MonotonicInstant(nanoseconds: 0)
    /// Ejections since the owner last asked, for log and metrics.
    var ejected: [WorkerID] = []

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
            if let limit, let best = best(request, ahead: waiting.count, at: now), now + .seconds(best.delay) > limit {
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

    func worker(_ id: WorkerID) -> SchedulerWorker? { index(id).flatMap { slots[$0] } }

    /// Repetitions and hedges that may be under way at a time.
    var extraLimit: Int {
        max(configuration.retryMinimum, Int(configuration.retryShare * Double(active + waiting.count)))
    }
}
