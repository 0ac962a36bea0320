import Foundation
import GrootCore
import Testing

@testable import Gateway

/// The scheduler as a machine: events in, decisions out, a clock of the test's own.
struct SchedulerTests {
    @Test
    func tiesGoRound() {
        var bench = Bench(workers: 3)
        let first = (0..<30).map { _ in
            bench.send()?.worker.slot
        }
        for slot in 0..<3 { #expect(first.count { $0 == slot } == 10) }
    }

    @Test
    func theOneThatShouldAnswerFirstIsChosen() {
        var bench = Bench(workers: 2, batch: 4, times: [[100, 110, 120, 130], [20, 25, 30, 35]])
        let fast = bench.ids[1]
        for _ in 0..<4 { #expect(bench.send()?.worker == fast) }
    }

    @Test
    func slowAnswersAreBelievedQuicklyAndFastOnesSlowly() {
        var times = ServiceTimes()
        times.observed(batch: 1, seconds: 0.01, at: at(0))
        times.observed(batch: 1, seconds: 0.1, at: at(10))
        #expect(abs(times.seconds(batch: 1, idle: false, at: at(10)) - 0.055) < 1e-9)
        times.observed(batch: 1, seconds: 0.01, at: at(20))
        #expect(times.seconds(batch: 1, idle: false, at: at(20)) > 0.054)
        times.observed(batch: 1, seconds: 0.01, at: at(8020))
        #expect(times.seconds(batch: 1, idle: false, at: at(8020)) < 0.012)
    }

    @Test
    func whatWasLearnedFadesTowardsWhatWasDescribed() {
        var times = ServiceTimes()
        times.described(as: [(1, .milliseconds(20)), (8, .milliseconds(90))], maxBatch: 8)
        #expect(abs(times.seconds(batch: 4, idle: false, at: at(0)) - 0.05) < 1e-9)
        #expect(times.seconds(batch: 16, idle: false, at: at(0)) > 0.09)
        times.observed(batch: 1, seconds: 2, at: at(0))
        #expect(times.seconds(batch: 1, idle: true, at: at(100)) == 2)
        #expect(times.seconds(batch: 1, idle: true, at: at(60_000)) < 0.03)
        #expect(times.seconds(batch: 1, idle: false, at: at(60_000)) == 2)
    }

    @Test
    func aFastFailureIsNoRecommendation() {
        var bench = Bench(workers: 2)
        for _ in 0..<4 { if let ticket = bench.send() { bench.answer(ticket, after: 10) } }
        let bad = bench.ids[0]
        bench.finish(bench.sendUntil(bad), .failed)
        for _ in 0..<20 {
            let ticket = bench.send()
            #expect(ticket?.worker == bench.ids[1])
            if let ticket { bench.answer(ticket, after: 10) }
        }
        bench.now = bench.now + .seconds(6)
        #expect(bench.sendUntil(bad).worker == bad, "the penalty is over")
    }

    @Test
    func aQuickRefusalIsNoRecommendationAndIsHonoured() {
        var bench = Bench(workers: 2)
        let full = bench.ids[0]
        bench.finish(bench.sendUntil(full), .refused(retryAfter: .seconds(30)))
        bench.now = bench.now + .seconds(20)
        for _ in 0..<10 { #expect(bench.send()?.worker == bench.ids[1]) }
    }

    @Test
    func oneBatchRunsAndTheNextIsSentJustBeforeItEnds() {
        var bench = Bench(workers: 1, batch: 4, times: [[100, 110, 120, 130]])
        let running = bench.send("r0")
        #expect(running != nil)
        for robot in 1...6 {
            #expect(bench.send("r\(robot)") == nil, "the batch runs; hold what can still be replaced")
        }
        #expect(bench.scheduler.waiting.count == 6)
        #expect(bench.scheduler.wakeAt(after: bench.now) == at(80))
        bench.now = at(80)
        let given = bench.scheduler.timePassed(at: bench.now)
        #expect(given.count == 4, "one batch being uploaded")
        #expect(bench.scheduler.waiting.count == 2)
        #expect(bench.scheduler.worker(bench.ids[0])?.inFlight == 5)
    }

    @Test
    func theNewestTakesTheOldestsPlace() {
        var bench = Bench(workers: 1, batch: 1, times: [[1000]])
        _ = bench.send("r0")
        #expect(bench.send("a") == nil)
        #expect(bench.send("b") == nil)
        let old = bench.lastID - 1
        #expect(bench.send("a") == nil)
        #expect(bench.superseded == [old])
        #expect(bench.scheduler.waiting.entries.map(\.robot) == ["a", "b"])
        #expect(bench.scheduler.robots.robots["a"]?.superseded == 1)
        #expect(bench.send("a", checkpoint: "policy") == nil)
        #expect(bench.scheduler.waiting.count == 3, "another selector is another request")
    }

    @Test
    func aRobotHasOneRequestInHandAndAHedgeOfIt() {
        var bench = Bench(workers: 2, batch: 8, times: [[50, 60], [50, 60]])
        #expect(bench.send("a", observation: 1) != nil)
        #expect(bench.send("a", observation: 1) != nil, "the same observation again is the robot's own hedge")
        var other = Bench(workers: 2, batch: 8, times: [[50, 60], [50, 60]])
        #expect(other.send("a", observation: 1) != nil)
        #expect(other.send("a", observation: 2) == nil, "worker 2 is idle, but the robot is being served")
        #expect(other.send("b", observation: 1) != nil, "which keeps nobody else from the idle worker")
    }

    @Test
    func theRunwayOrdersWhileAllCanBeServedAndThePlaceWhenNot() {
        var queue = WaitingQueue(discipline: .inPlace)
        let pace = WaitingQueue.Pace(perSecond: 10, service: 0.1)
        for (robot, runway) in [("late", 900), ("soon", 300)] {
            _ = queue.insert(request(robot, dryAt: at(runway)))
        }
        var order = queue.ordered(pace, assumedRunway: .seconds(1), at: at(0)).map(\.robot)
        #expect(order == ["soon", "late"] && !queue.isOverloaded)
        _ = queue.insert(request("dry", dryAt: at(0)))
        order = queue.ordered(pace, assumedRunway: .seconds(1), at: at(0)).map(\.robot)
        #expect(order == ["late", "soon", "dry"] && queue.isOverloaded)
    }

    @Test
    func aFullQueueShedsNewcomersAndSaysWhenToComeAgain() {
        var configuration = SchedulingConfiguration()
        configuration.waitingLimit = 2
        configuration.slowStart = .zero
        var bench = Bench(workers: 1, batch: 1, times: [[100]], configuration)
        for robot in ["x", "a", "b"] { _ = bench.send(robot) }
        #expect(bench.decide("c") == .shed(nextObservationAfter: .milliseconds(200)))
        guard case .wait = bench.decide("a") else {
            Issue.record("whoever has a place may renew it")
            return
        }
    }

    @Test
    func onlyWorkersThatServeTheCheckpointAreEligible() {
        var bench = Bench(workers: 2)
        bench.describe(0, ["a"])
        bench.describe(1, ["a", "b"])
        for _ in 0..<6 { #expect(bench.send(checkpoint: "b")?.worker == bench.ids[1]) }
        guard case .wait(nil, hopeful: false) = bench.decide("r", checkpoint: "c") else {
            Issue.record("nobody serves c")
            return
        }
        bench.describe(0, ["a", "c"])
        #expect(bench.given.count == 1, "it is given out as soon as somebody serves it")
    }

    @Test
    func nobodyOvertakesWhoWaitsForTheSameWorker() {
        var bench = Bench(workers: 1, batch: 1, times: [[100]])
        let running = bench.send("a")
        #expect(bench.send("b") == nil && bench.send("c") == nil)
        if let running { bench.answer(running, after: 100) }
        #expect(bench.given.map(\.request.number) == [1])
    }

    @Test
    func failuresEjectOneOfTwoButNeverAll() {
        var bench = Bench(workers: 2)
        for _ in 0..<5 { bench.finish(bench.sendUntil(bench.ids[0]), .failed) }
        #expect(bench.scheduler.takeEjections() == [bench.ids[0]])
        bench.now = bench.now + .seconds(8)
        for _ in 0..<10 { #expect(bench.send()?.worker == bench.ids[1]) }
        for _ in 0..<5 { bench.finish(bench.sendUntil(bench.ids[1]), .failed) }
        #expect(bench.scheduler.takeEjections().isEmpty, "half of the workers at most")
        bench.now = bench.now + .seconds(30)
        #expect(bench.sendUntil(bench.ids[0]).worker == bench.ids[0], "30 s later it gets another chance")
    }

    @Test
    func theLowSuccessRateOfOneOfFiveEjects() {
        var bench = Bench(workers: 5)
        for round in 0..<120 {
            for worker in bench.ids {
                let ticket = bench.sendUntil(worker)
                bench.finish(ticket, worker == bench.ids[2] && round % 3 == 0 ? .failed : .answered)
                bench.now = bench.now + .milliseconds(6)
            }
        }
        bench.now = bench.now + .seconds(10)
        _ = bench.send()
        #expect(bench.scheduler.takeEjections() == [bench.ids[2]])
    }

    @Test
    func aNewWorkerGetsItsShareStepByStep() {
        var bench = Bench(workers: 2)
        bench.now = at(60_000)
        bench.scheduler.lost(bench.ids[1], byLoop: 0)
        _ = bench.scheduler.reached(bench.ids[1], byLoop: 0, at: bench.now)
        var shares = [0, 0]
        for _ in 0..<40 { if let ticket = bench.send() { shares[ticket.worker.slot] += 1 } }
        #expect(shares[0] > 3 * shares[1] && shares[1] > 0, "\(shares)")
    }

    @Test
    func repetitionsHaveABudgetAndMustComeInTime() {
        var bench = Bench(workers: 2)
        var failed: [SchedulerRequest] = []
        for index in 0..<4 {
            var request = request("r\(index)", dryAt: nil)
            request.tried = [.init(worker: bench.ids[0], incarnation: 1)]
            failed.append(request)
        }
        for index in 0..<3 {
            guard case .dispatch(let ticket) = bench.scheduler.failed(failed[index], unseen: false, at: bench.now)
            else {
                Issue.record("three at a time always may")
                return
            }
            #expect(ticket.worker == bench.ids[1] && ticket.isExtra)
        }
        #expect(bench.scheduler.failed(failed[3], unseen: false, at: bench.now) == .giveUp(.budget))
        guard case .dispatch = bench.scheduler.failed(failed[3], unseen: true, at: bench.now) else {
            Issue.record("what no worker saw is no repetition")
            return
        }
        var late = Bench(workers: 2, batch: 1, times: [[3000], [3000]])
        let dry = request("d", dryAt: at(10))
        #expect(late.scheduler.failed(dry, unseen: false, at: late.now) == .giveUp(.tooLate))
    }

    @Test
    func hedgesNeedAFreeWorker() {
        var bench = Bench(workers: 2, batch: 1, times: [[100], [100]])
        var first = request("a", dryAt: at(20))
        guard case .dispatch(let ticket) = bench.scheduler.arrived(first, at: at(0)) else { return }
        first.tried = [.init(worker: ticket.worker, incarnation: ticket.incarnation)]
        let second = bench.scheduler.hedged(first, at: at(5))
        #expect(second?.worker != ticket.worker && second?.isExtra == true)
        first.tried.append(.init(worker: second?.worker ?? ticket.worker, incarnation: 1))
        #expect(bench.scheduler.hedged(first, at: at(5)) == nil)
    }

    @Test
    func leavingAndDrainingWorkersGetNothingNew() {
        var bench = Bench(workers: 2)
        let ticket = bench.sendUntil(bench.ids[0])
        bench.scheduler.left(bench.ids[0])
        for _ in 0..<5 { #expect(bench.send()?.worker == bench.ids[1]) }
        #expect(bench.scheduler.worker(bench.ids[0]) != nil, "its books are not empty")
        bench.finish(ticket, .answered)
        #expect(bench.scheduler.worker(bench.ids[0]) == nil)
        let again = bench.scheduler.joined(address: "other")
        #expect(again.slot == bench.ids[0].slot && again != bench.ids[0])
        _ = bench.scheduler.drain(bench.ids[1], true, at: bench.now)
        #expect(bench.send() == nil)
        bench.given = bench.scheduler.drain(bench.ids[1], false, at: bench.now)
        #expect(bench.given.count == 1)
    }

    @Test
    func whatOtherGatewaysSendCounts() {
        var bench = Bench(workers: 2, batch: 4, times: [[50, 60, 70, 80], [50, 60, 70, 80]])
        let ticket = bench.sendUntil(bench.ids[0])
        bench.now = bench.now + .milliseconds(50)
        var load = WorkerLoad()
        load.queue = 4
        load.running = 4
        load.leftSeconds = 0.08
        load.batchSeconds = 0.05
        _ = bench.scheduler.finished(ticket, .answered, load: load, at: bench.now)
        #expect(bench.scheduler.worker(bench.ids[0])?.presentForeign(at: bench.now) == 8)
        #expect(bench.send()?.worker == bench.ids[1])
        bench.now = bench.now + .seconds(3)
        #expect((bench.scheduler.worker(bench.ids[0])?.presentForeign(at: bench.now) ?? 1) < 0.1)
    }

    @Test
    func orcaTextIsReadAndNonsenseIsNot() {
        let load = WorkerLoad(
            "TEXT named_metrics.queue=2, named_metrics.running=4,named_metrics.batch_capacity=8,x=y,named_metrics.batch_ms=23.5"
        )
        #expect(load?.queue == 2 && load?.running == 4 && load?.capacity == 8 && load?.batchSeconds == 0.0235)
        #expect(load?.leftSeconds == nil)
        for text in [
            "", "TEXT", "JSON {}", "TEXT named_metrics.queue=-1", "TEXT named_metrics.queue=nan", "TEXT ,,=,=",
        ] {
            #expect(WorkerLoad(text) == nil)
        }
    }

    @Test(arguments: RoutingPolicy.allCases)
    func everyPolicyBalancesAndSkipsWhatIsDown(_ policy: RoutingPolicy) {
        for count in [3, 20] {
            var configuration = SchedulingConfiguration()
            configuration.policy = policy
            configuration.slowStart = .zero
            var bench = Bench(workers: count, configuration)
            bench.scheduler.lost(bench.ids[1], byLoop: 0)
            var shares = Array(repeating: 0, count: count)
            for index in 0..<(count * 40) {
                if let ticket = bench.send("r\(index)") { shares[ticket.worker.slot] += 1 }
            }
            #expect(shares[1] == 0)
            #expect(shares.reduce(0, +) == count * 40)
            #expect(shares.enumerated().allSatisfy { $0.offset == 1 || $0.element > 20 }, "\(policy) \(shares)")
        }
    }

    @Test
    func consistentHashKeepsRobotsWhereTheyAreAndBoundsTheLoad() {
        var configuration = SchedulingConfiguration()
        configuration.policy = .consistentHash
        var bench = Bench(workers: 4, configuration)
        func homes() -> [String: WorkerID] {
            var homes: [String: WorkerID] = [:]
            for index in 0..<100 {
                guard let ticket = bench.send("r\(index)") else { continue }
                homes["r\(index)"] = ticket.worker
                bench.answer(ticket, after: 1)
            }
            return homes
        }
        let before = homes()
        #expect(homes() == before)
        bench.scheduler.lost(bench.ids[3], byLoop: 0)
        let after = homes()
        #expect(before.allSatisfy { $0.value == bench.ids[3] || after[$0.key] == $0.value })
        var shares = [0, 0, 0]
        for _ in 0..<30 { if let ticket = bench.send("one") { shares[ticket.worker.slot] += 1 } }
        #expect((shares.max() ?? 30) <= 14, "one robot does not fill one worker: \(shares)")
    }

    /// Two serial workers of 8 and 24 ms that say nothing of themselves, Poisson arrivals at 60 % of what they can do.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func unequalWorkersGetUnequalShares(seed: UInt64) {
        var random = SplitMix(state: seed)
        var bench = Bench(workers: 2)
        let service: [Int64] = [8_000_000, 24_000_000]
        var freeAt: [Int64] = [0, 0]
        var running: [(end: Int64, ticket: Ticket)] = []
        var counts = [0, 0]
        var waits: [Double] = []
        for _ in 0..<20_000 {
            bench.now = bench.now + .nanoseconds(Int64(-0.01 * log(1 - random.unit()) * 1e9))
            let now = bench.now
            for done in running.filter({ $0.end <= now.nanoseconds }).sorted(by: { $0.end < $1.end }) {
                bench.now = MonotonicInstant(nanoseconds: done.end)
                bench.finish(done.ticket, .answered)
            }
            bench.now = now
            running.removeAll { $0.end <= now.nanoseconds }
            guard let ticket = bench.send("") else { continue }
            let worker = ticket.worker.slot
            counts[worker] += 1
            freeAt[worker] = max(now.nanoseconds, freeAt[worker]) + service[worker]
            running.append((freeAt[worker], ticket))
            waits.append(Double(freeAt[worker] - now.nanoseconds) / 1e6)
        }
        waits.sort()
        #expect((0.85...0.97).contains(Double(counts[0]) / 20_000), "share of the fast worker \(counts)")
        #expect(waits[19_800] < 45, "p99 \(waits[19_800]) ms; least request has 70")
    }

    /// Random events against the books that a simple model keeps.
    @Test(arguments: 0..<30 as Range<UInt64>)
    func randomSequencesKeepTheBooks(seed: UInt64) {
        var random = SplitMix(state: seed)
        var configuration = SchedulingConfiguration()
        configuration.policy = RoutingPolicy.allCases[Int(seed) % RoutingPolicy.allCases.count]
        configuration.waitingLimit = 12
        var bench = Bench(workers: 4, batch: seed % 2 == 0 ? 3 : nil, configuration)
        var open: [Ticket] = []
        var waiting: Set<UInt64> = []
        func take(_ given: [Assignment]) {
            for assignment in given {
                #expect(waiting.remove(assignment.request.number) != nil, "only who waits is given out")
                open.append(assignment.ticket)
            }
        }
        for _ in 0..<1500 {
            bench.now = bench.now + .microseconds(Int64(random.next() % 9_000))
            switch random.next() % 8 {
            case 0..<4:
                let id = bench.nextID
                switch bench.decide("r\(random.next() % 20)", dryIn: random.next() % 2 == 0 ? 100 : nil) {
                case .dispatch(let ticket): open.append(ticket)
                case .wait(let old, _):
                    if let old { #expect(waiting.remove(old.number) != nil) }
                    waiting.insert(id)
                case .shed: #expect(waiting.count == 12)
                case .giveUp: Issue.record("not on arrival")
                }
            case 4, 5:
                guard !open.isEmpty else { continue }
                let ticket = open.remove(at: Int(random.next() % UInt64(open.count)))
                let outcomes: [AttemptOutcome] = [
                    .answered, .answered, .failed, .abandoned, .refused(retryAfter: nil), .neverSeen,
                ]
                let outcome = outcomes[Int(random.next() % 6)]
                take(bench.scheduler.finished(ticket, outcome, at: bench.now))
            case 6:
                let worker = bench.ids[Int(random.next() % 4)]
                if random.next() % 2 == 0 {
                    bench.scheduler.lost(worker, byLoop: 0)
                } else {
                    take(bench.scheduler.reached(worker, byLoop: 0, at: bench.now))
                }
            default:
                if let gone = waiting.randomElement(using: &random) {
                    let didWait = bench.scheduler.withdrew(RequestID(loop: 0, number: gone))
                    #expect(didWait)
                    waiting.remove(gone)
                }
                take(bench.scheduler.timePassed(at: bench.now))
            }
            #expect(bench.scheduler.active == open.count)
            #expect(Set(bench.scheduler.waiting.entries.map(\.id.number)) == waiting)
            for (index, id) in bench.ids.enumerated() {
                let mine = open.count { $0.worker == id }
                #expect(bench.scheduler.worker(id)?.inFlight == mine, "worker \(index)")
            }
            #expect(Set(bench.scheduler.waiting.entries.map(\.robot)).count == waiting.count, "one per robot")
        }
    }
}

/// A scheduler with workers that are all up, and the bookkeeping of a test.
struct Bench {
    var scheduler: Scheduler
    var ids: [WorkerID] = []
    var now = at(0)
    var nextID: UInt64 = 0
    var superseded: [UInt64] = []
    var given: [Assignment] = []

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
        given = scheduler.described(ids[index], checkpoints.map { DescribedPolicy(checkpoint: $0) }, at: now)
    }

    mutating func decide(_ robot: String, checkpoint: String? = nil, observation: UInt64 = 0, dryIn: Int? = nil)
        -> SchedulingDecision
    {
        let made = SchedulerRequest(
            id: RequestID(loop: 0, number: nextID),
            robot: robot,
            checkpoint: checkpoint,
            observation: observation,
            dryAt: dryIn.map { now + .milliseconds($0) },
            arrivedAt: now
        )
        nextID += 1
        return scheduler.arrived(made, at: now)
    }

    /// The ticket, or nil when the request waits.
    mutating func send(_ robot: String = "", checkpoint: String? = nil, observation: UInt64 = 0) -> Ticket? {
        switch decide(robot, checkpoint: checkpoint, observation: observation) {
        case .dispatch(let ticket): return ticket
        case .wait(let old, _):
            if let old { superseded.append(old.number) }
            return nil
        case .shed, .giveUp: return nil
        }
    }

    /// Sends until this worker gets one; the others' are taken back.
    mutating func sendUntil(_ worker: WorkerID) -> Ticket {
        for _ in 0..<200 {
            guard let ticket = send() else { break }
            if ticket.worker == worker { return ticket }
            given = scheduler.finished(ticket, .neverSeen, at: now)
        }
        let made = SchedulerRequest(id: RequestID(loop: 0, number: nextID), robot: "", arrivedAt: now)
        var only = made
        only.tried = ids.filter { $0 != worker }.compactMap { id in
            scheduler.worker(id).map { .init(worker: id, incarnation: $0.incarnation) }
        }
        nextID += 1
        guard case .dispatch(let ticket) = scheduler.failed(only, unseen: true, at: now) else {
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
        given = scheduler.finished(ticket, outcome, at: now)
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
