import Foundation
import GrootCore

/// What the scheduler knows: workers, who waits, robots, what is under way. Part of `Scheduler`, which alone changes it.
///
/// Invariants: a worker's books never exceed its credit; a request is either on one worker's books, or waits, or is
/// unknown here (hedges: on two workers' books).
struct SchedulerBooks: Sendable {
    var configuration: SchedulingConfiguration
    var slots: [SchedulerWorker?] = []
    var waiting: WaitingQueue
    var robots: RobotTable
    /// Requests on the books of all workers, and those of them that are repetitions or hedges.
    var active = 0
    var extra = 0
    private var serial: UInt32 = 0
    /// Counts tickets.
    private var ticket: UInt64 = 0
    var turn = 0
    var random: UInt64
    /// No worker is ejected after this instant.
    var ejectionsEnd = MonotonicInstant(nanoseconds: 0)
    var nextSweep = MonotonicInstant(nanoseconds: 0)
    /// Ejections of the event at hand.
    var ejected: [WorkerID] = []

    init(configuration: SchedulingConfiguration, seed: UInt64) {
        self.configuration = configuration
        self.waiting = WaitingQueue(discipline: configuration.discipline)
        self.robots = RobotTable(limit: configuration.robotLimit)
        self.random = seed
    }

    mutating func join(address: String) -> WorkerID {
        serial += 1
        let slot = slots.firstIndex { $0 == nil } ?? slots.endIndex
        let id = WorkerID(slot: slot, serial: serial)
        if slot == slots.endIndex { slots.append(nil) }
        slots[slot] = SchedulerWorker(id: id, address: address)
        return id
    }

    mutating func nextTicket() -> UInt64 {
        ticket += 1
        return ticket
    }

    func index(_ id: WorkerID) -> Int? {
        guard slots.indices.contains(id.slot), slots[id.slot]?.id == id else { return nil }
        return id.slot
    }

    func worker(_ id: WorkerID) -> SchedulerWorker? { index(id).flatMap { slots[$0] } }

    /// Repetitions and hedges that may be under way at a time.
    var extraLimit: Int {
        max(configuration.retryMinimum, Int(configuration.retryShare * Double(active + waiting.count)))
    }
}
