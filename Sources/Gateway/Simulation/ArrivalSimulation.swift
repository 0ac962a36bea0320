import Foundation
import GrootCore
import HeapModule

/// Requests that arrive by chance (Poisson) at workers of unequal speed, each of which serves one at a time: what
/// general load balancers are measured with. Around the gateway's own `Scheduler`, in virtual time. Pure and repeatable.
struct ArrivalSimulation {
    struct Configuration: Sendable {
        /// Seconds that each worker takes for one request.
        var workers: [Double]
        /// Requests per second.
        var rate: Double
        /// Times vary by up to this share, evenly.
        var jitter = 0.0
        var duration = Duration.seconds(60)
        /// Not counted.
        var warmUp = Duration.seconds(10)
        var seed: UInt64 = 1

        /// Share of what all workers together can do.
        var load: Double { rate / workers.reduce(0) { $0 + 1 / $1 } }
    }

    /// Who chooses the worker.
    struct Chooser: Sendable {
        var name: String
        /// Nil: somebody who knows exactly when each worker will be free. No scheduler that must choose at once is
        /// better.
        var policy: RoutingPolicy?
        /// Workers describe themselves and report their load: then requests wait in the gateway, not at the worker.
        var reports = false

        static let all: [Chooser] =
            RoutingPolicy.allCases.map { Chooser(name: $0.rawValue, policy: $0) } + [
                Chooser(name: "expected-delay, reports", policy: .expectedDelay, reports: true),
                Chooser(name: "clairvoyant", policy: nil),
            ]
    }

    struct Report: Sendable, Equatable, Encodable {
        var chooser: String
        var p50: Double
        var p90: Double
        var p99: Double
        /// Percent of the requests that went to each worker.
        var shares: [Double]

        enum CodingKeys: String, CodingKey {
            case chooser, shares
            case p50 = "p50_ms"
            case p90 = "p90_ms"
            case p99 = "p99_ms"
        }
    }

    private enum Kind {
        case arrival
        case done(worker: Int)
        case wake
    }

    private struct Event: Comparable {
        var at: Int64
        var order: UInt64
        var kind: Kind

        static func < (left: Event, right: Event) -> Bool { (left.at, left.order) < (right.at, right.order) }
        static func == (left: Event, right: Event) -> Bool { left.order == right.order }
    }

    private let configuration: Configuration
    private let chooser: Chooser
    private var scheduler: Scheduler
    private var workers: [SimulatedWorker] = []
    private var events = Heap<Event>()
    private var order: UInt64 = 0
    private var arrivedAt: [UInt64: MonotonicInstant] = [:]
    private var next: UInt64 = 0
    private var random: SeededGenerator
    private var now = MonotonicInstant(nanoseconds: 0)
    private var wakeArmed = MonotonicInstant(nanoseconds: 0)
    private var times: [Double] = []
    private var counts: [Int]

    static func run(_ configuration: Configuration, _ chooser: Chooser) -> Report {
        var simulation = ArrivalSimulation(configuration, chooser)
        return simulation.run()
    }

    private init(_ configuration: Configuration, _ chooser: Chooser) {
        self.configuration = configuration
        self.chooser = chooser
        random = SeededGenerator(state: configuration.seed)
        counts = configuration.workers.map { _ in 0 }
        var scheduling = SchedulingConfiguration()
        scheduling.policy = chooser.policy ?? .expectedDelay
        scheduling.slowStart = .zero
        scheduler = Scheduler(configuration: scheduling, seed: configuration.seed)
    }

    private mutating func run() -> Report {
        for (index, seconds) in configuration.workers.enumerated() {
            let id = scheduler.joined(address: "w\(index + 1)")
            if chooser.reports {
                let times = [DescribedPolicy.BatchTime(batch: 1, time: .seconds(seconds))]
                _ = scheduler.described(id, [.init(checkpoint: "", maxBatch: 1, batchTimes: times)], at: now)
            }
            _ = scheduler.reached(id, byLoop: 0, at: now)
            workers.append(SimulatedWorker(id: id, maxBatch: 1))
        }
        schedule(pause(), .arrival)
        let end = configuration.warmUp + configuration.duration
        while let event = events.popMin(), event.at <= end.nanoseconds {
            now = MonotonicInstant(nanoseconds: event.at)
            switch event.kind {
            case .arrival: arrived()
            case .done(let worker): done(worker)
            case .wake: carryOut(scheduler.timePassed(at: now).assignments)
            }
            guard let wake = scheduler.books.wakeAt(after: now), wakeArmed <= now || wake < wakeArmed else { continue }
            wakeArmed = wake
            schedule(wake - now, .wake)
        }
        return report()
    }

    private mutating func arrived() {
        schedule(pause(), .arrival)
        next += 1
        arrivedAt[next] = now
        guard chooser.policy != nil else {
            enqueue(next, nil, at: soonest())
            return
        }
        // Each request is a robot of its own: none replaces another.
        let id = RequestID(loop: 0, number: next)
        let request = SchedulerRequest(id: id, robot: "r\(next)", arrivedAt: now)
        let decision = scheduler.arrived(request, at: now).decision
        if case .dispatch(let ticket) = decision { carryOut([Assignment(request: id, ticket: ticket)]) }
    }

    private func soonest() -> Int {
        let free = workers.indices.map { index in
            let waits = Double(workers[index].queue.count + 1) * configuration.workers[index]
            return waits + (workers[index].running.isEmpty ? 0 : (workers[index].endsAt - now).seconds)
        }
        return free.indices.min { free[$0] < free[$1] } ?? 0
    }

    private mutating func carryOut(_ assignments: [Assignment]) {
        for assignment in assignments {
            guard let worker = workers.firstIndex(where: { $0.id == assignment.ticket.worker }) else { continue }
            enqueue(assignment.request.number, assignment.ticket, at: worker)
        }
    }

    private mutating func enqueue(_ request: UInt64, _ ticket: Ticket?, at worker: Int) {
        let none = Ticket(
            worker: workers[worker].id,
            robot: "",
            incarnation: 0,
            group: 0,
            isWork: false,
            isExtra: false,
            batches: false,
            startedAt: now,
            expected: .zero
        )
        workers[worker].queue.append(.init(request: request, ticket: ticket ?? none))
        if now.nanoseconds >= configuration.warmUp.nanoseconds { counts[worker] += 1 }
        startNext(worker)
    }

    private mutating func startNext(_ index: Int) {
        guard workers[index].running.isEmpty, !workers[index].queue.isEmpty else { return }
        workers[index].running = [workers[index].queue.removeFirst()]
        let vary = 1 + configuration.jitter * (2 * random.unit() - 1)
        let seconds = configuration.workers[index] * vary
        workers[index].endsAt = now + .seconds(seconds)
        workers[index].runningSeconds = seconds
        schedule(.seconds(seconds), .done(worker: index))
    }

    private mutating func done(_ index: Int) {
        let call = workers[index].running[0]
        workers[index].running = []
        workers[index].lastBatch = 1
        workers[index].lastSeconds = workers[index].runningSeconds
        startNext(index)
        if let began = arrivedAt.removeValue(forKey: call.request),
            began.nanoseconds >= configuration.warmUp.nanoseconds
        {
            times.append((now - began).milliseconds)
        }
        guard chooser.policy != nil else { return }
        let load = chooser.reports ? workers[index].load(at: now) : nil
        carryOut(scheduler.finished(call.ticket, .answered, load: load, at: now).assignments)
    }

    private mutating func pause() -> Duration {
        .seconds(-log(1 - random.unit()) / configuration.rate)
    }

    private mutating func schedule(_ delay: Duration, _ kind: Kind) {
        order += 1
        events.insert(Event(at: now.nanoseconds + delay.nanoseconds, order: order, kind: kind))
    }

    private func report() -> Report {
        let sorted = times.sorted()
        func quantile(_ share: Double) -> Double {
            sorted.isEmpty ? 0 : (sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))] * 10).rounded() / 10
        }
        let all = max(1, counts.reduce(0, +))
        return Report(
            chooser: chooser.name,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            shares: counts.map { (Double($0) / Double(all) * 1000).rounded() / 10 }
        )
    }
}
