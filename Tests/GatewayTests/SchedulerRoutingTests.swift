import Foundation
import GrootCore
import Testing

@testable import Gateway

/// Who gets a request: expected delay, what is learned of it, and the other policies.
struct SchedulerRoutingTests {
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

    @Test(arguments: RoutingPolicy.allCases)
    func everyPolicyBalancesAndSkipsWhatIsDown(_ policy: RoutingPolicy) {
        for count in [3, 20] {
            var configuration = SchedulingConfiguration()
            configuration.policy = policy
            configuration.slowStart = .zero
            var bench = Bench(workers: count, configuration)
            bench.lose(1)
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
        bench.lose(3)
        let after = homes()
        #expect(before.allSatisfy { $0.value == bench.ids[3] || after[$0.key] == $0.value })
        var shares = [0, 0, 0]
        for _ in 0..<30 { if let ticket = bench.send("one") { shares[ticket.worker.slot] += 1 } }
        #expect((shares.max() ?? 30) <= 14, "one robot does not fill one worker: \(shares)")
    }

    /// The robot's last worker is ten percent slower: it stays there when that much is allowed, and when that worker has no more than its share.
    @Test(arguments: [0.05, 10])
    func aRobotStaysWithItsWorkerWhileThatIsNearlyAsGoodAndNotLoadedMore(affinity: Double) {
        var configuration = SchedulingConfiguration()
        configuration.slowStart = .zero
        configuration.affinity = affinity
        configuration.dispatchLead = .seconds(1)
        var bench = Bench(workers: 2, batch: 8, times: [[20], [22]], configuration)
        let (fast, own) = (bench.ids[0], bench.ids[1])
        _ = bench.scheduler.drain(fast, true, at: bench.now)
        if let ticket = bench.send("r1") { bench.answer(ticket, after: 22) }
        _ = bench.scheduler.drain(fast, false, at: bench.now)
        guard let ticket = bench.send("r1") else {
            Issue.record("both workers are free")
            return
        }
        #expect(ticket.worker == (affinity > 0.1 ? own : fast))
        bench.answer(ticket, after: 22)
        // The robot's worker has three requests, the other none.
        _ = bench.scheduler.drain(fast, true, at: bench.now)
        let others = ["a", "b", "c"].compactMap { bench.send($0) }
        #expect(others.map(\.worker) == [own, own, own])
        _ = bench.scheduler.drain(fast, false, at: bench.now)
        #expect(bench.send("r1")?.worker == fast, "its own has more than its share already")
    }

    @Test
    func theCircuitBreakerBoundsTheBooksOfOneWorker() {
        var configuration = SchedulingConfiguration()
        configuration.slowStart = .zero
        configuration.maxRequestsPerWorker = 3
        var bench = Bench(workers: 2, batch: 8, configuration)
        let tickets = (0..<10).compactMap { bench.send("r\($0)") }
        #expect(tickets.count { $0.worker == bench.ids[0] } == 3)
        #expect(tickets.count { $0.worker == bench.ids[1] } == 3)
        bench.finish(tickets[0], .answered)
        #expect(bench.given.map(\.ticket.worker) == [tickets[0].worker], "the next one that waits")
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
}
