import Foundation
import GrootCore
import Testing

@testable import Gateway

/// A scheduler with workers that are all up, and the bookkeeping of a test.
struct Bench {
    var scheduler: Scheduler
    var ids: [WorkerID] = []
    var now = at(0)
    var nextID: UInt64 = 0
    var superseded: [UInt64] = []
    var given: [Assignment] = []
    var ejected: [WorkerID] = []

    init(workers: Int, batch: Int? = nil, times: [[Int]] = [], _ configuration: SchedulingConfiguration? = nil) {
        var defaults = SchedulingConfiguration()
        if configuration == nil { defaults.slowStart = workers == 2 && batch == nil ? .seconds(5) : .zero }
        scheduler = Scheduler(configuration: configuration ?? defaults)
        for index in 0..<workers {
            let id = scheduler.joined(address: "w\(index)")
            ids.append(id)
            _ = scheduler.reached(id, byLoop: 0, at: at(-60_000))
            guard let batch else { continue }
            let known = index < times.count ? times[index] : [20]
            let described = known.enumerated().map {
                DescribedPolicy.BatchTime(batch: $0.offset + 1, time: .milliseconds($0.element))
            }
            _ = scheduler.described(
                id,
                [DescribedPolicy(checkpoint: "policy", maxBatch: batch, batchTimes: described)],
                at: at(0)
            )
        }
    }

    var lastID: UInt64 { nextID - 1 }

    mutating func describe(_ index: Int, _ checkpoints: [String]) {
        take(scheduler.described(ids[index], checkpoints.map { DescribedPolicy(checkpoint: $0) }, at: now))
    }

    /// Keeps what follows from an event.
    mutating func take(_ effects: Effects) {
        given = effects.assignments
        ejected += effects.ejected
    }

    /// Ejections since the last call.
    mutating func takeEjections() -> [WorkerID] {
        defer { ejected = [] }
        return ejected
    }

    mutating func lose(_ index: Int) {
        take(scheduler.lost(ids[index], byLoop: 0, at: now))
    }

    mutating func decide(
        _ robot: String,
        checkpoint: String? = nil,
        observation: UInt64 = 0,
        call: UInt64 = 0,
        dryIn: Int? = nil
    ) -> SchedulingDecision? {
        let made = SchedulerRequest(
            id: RequestID(loop: 0, number: nextID),
            robot: robot,
            checkpoint: checkpoint,
            observation: observation,
            call: call,
            dryAt: dryIn.map { now + .milliseconds($0) },
            arrivedAt: now
        )
        nextID += 1
        let effects = scheduler.arrived(made, at: now)
        take(effects)
        return effects.decision
    }

    /// The ticket, or nil when the request waits.
    mutating func send(_ robot: String = "", checkpoint: String? = nil, observation: UInt64 = 0, call: UInt64 = 0)
        -> Ticket?
    {
        switch decide(robot, checkpoint: checkpoint, observation: observation, call: call) {
        case .dispatch(let ticket): return ticket
        case .wait(let old, _):
            if let old { superseded.append(old.number) }
            return nil
        case .shed, .giveUp, nil: return nil
        }
    }

    /// Sends until this worker gets one; the others' are taken back.
    mutating func sendUntil(_ worker: WorkerID) -> Ticket {
        for _ in 0..<200 {
            guard let ticket = send() else { break }
            if ticket.worker == worker { return ticket }
            take(scheduler.finished(ticket, .neverSeen, at: now))
        }
        let made = SchedulerRequest(id: RequestID(loop: 0, number: nextID), robot: "", arrivedAt: now)
        var only = made
        only.tried = ids.filter { $0 != worker }.compactMap { id in
            scheduler.worker(id).map { .init(worker: id, incarnation: $0.incarnation) }
        }
        nextID += 1
        guard case .dispatch(let ticket) = scheduler.failed(only, unseen: true, at: now).decision else {
            Issue.record("no way to reach the worker")
            return Ticket(
                worker: worker,
                robot: "",
                incarnation: 0,
                group: 0,
                isWork: false,
                isExtra: false,
                batches: false,
                startedAt: now,
                expected: .zero
            )
        }
        return ticket
    }

    mutating func answer(_ ticket: Ticket, after milliseconds: Int) {
        now = now + .milliseconds(milliseconds)
        finish(ticket, .answered)
    }

    mutating func finish(_ ticket: Ticket, _ outcome: AttemptOutcome) {
        take(scheduler.finished(ticket, outcome, at: now))
    }
}

func request(_ robot: String, dryAt: MonotonicInstant?) -> SchedulerRequest {
    SchedulerRequest(
        id: RequestID(loop: 0, number: StableHash.of(robot)),
        robot: robot,
        dryAt: dryAt,
        arrivedAt: at(0)
    )
}

/// Milliseconds on a clock of the test's own.
func at(_ milliseconds: Int) -> MonotonicInstant {
    MonotonicInstant(nanoseconds: Int64(milliseconds) * 1_000_000)
}

/// A small seeded generator, so that a failing sequence can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func unit() -> Double {
        Double(next() >> 11) / Double(1 << 53)
    }
}
