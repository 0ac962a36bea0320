import Foundation
import GrootCore
import Testing

@testable import Gateway

/// Failures, repetitions, new workers and leaving ones.
struct SchedulerHealthTests {
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
    func failuresEjectOneOfTwoButNeverAll() {
        var bench = Bench(workers: 2)
        for _ in 0..<5 { bench.finish(bench.sendUntil(bench.ids[0]), .failed) }
        #expect(bench.takeEjections() == [bench.ids[0]])
        bench.now = bench.now + .seconds(8)
        for _ in 0..<10 { #expect(bench.send()?.worker == bench.ids[1]) }
        for _ in 0..<5 { bench.finish(bench.sendUntil(bench.ids[1]), .failed) }
        #expect(bench.takeEjections() == [], "half of the workers at most")
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
        #expect(bench.takeEjections() == [bench.ids[2]])
    }

    @Test
    func aNewWorkerGetsItsShareStepByStep() {
        var bench = Bench(workers: 2)
        bench.now = at(60_000)
        bench.lose(1)
        _ = bench.scheduler.reached(bench.ids[1], byLoop: 0, at: bench.now)
        var shares = [0, 0]
        for _ in 0..<40 { if let ticket = bench.send() { shares[ticket.worker.slot] += 1 } }
        #expect(shares[0] > 3 * shares[1] && shares[1] > 0, "\(shares)")
    }

    @Test
    func repetitionsHaveABudgetAndMustComeInTime() {
        var configuration = SchedulingConfiguration()
        configuration.retryMinimum = 3
        var bench = Bench(workers: 2, configuration)
        var failed: [SchedulerRequest] = []
        for index in 0..<4 {
            var request = request("r\(index)", dryAt: nil)
            request.tried = [.init(worker: bench.ids[0], incarnation: 1)]
            failed.append(request)
        }
        for index in 0..<3 {
            guard
                case .dispatch(let ticket) = bench.scheduler.failed(failed[index], unseen: false, at: bench.now)
                    .decision
            else {
                Issue.record("three at a time always may")
                return
            }
            #expect(ticket.worker == bench.ids[1] && ticket.isExtra)
        }
        #expect(bench.scheduler.failed(failed[3], unseen: false, at: bench.now).decision == .giveUp(.budget))
        guard case .dispatch = bench.scheduler.failed(failed[3], unseen: true, at: bench.now).decision else {
            Issue.record("what no worker saw is no repetition")
            return
        }
        var late = Bench(workers: 2, batch: 1, times: [[3000], [3000]])
        let dry = request("d", dryAt: at(10))
        #expect(late.scheduler.failed(dry, unseen: false, at: late.now).decision == .giveUp(.tooLate))
    }

    @Test
    func hedgesNeedAFreeWorker() {
        var bench = Bench(workers: 2, batch: 1, times: [[100], [100]])
        var first = request("a", dryAt: at(20))
        guard case .dispatch(let ticket) = bench.scheduler.arrived(first, at: at(0)).decision else { return }
        first.tried = [.init(worker: ticket.worker, incarnation: ticket.incarnation)]
        guard case .dispatch(let second) = bench.scheduler.hedged(first, at: at(5)).decision else {
            Issue.record("the other one is free")
            return
        }
        #expect(second.worker != ticket.worker && second.isExtra)
        first.tried.append(.init(worker: second.worker, incarnation: 1))
        #expect(bench.scheduler.hedged(first, at: at(5)).decision == nil)
    }

    @Test
    func leavingAndDrainingWorkersGetNothingNew() {
        var bench = Bench(workers: 2)
        let ticket = bench.sendUntil(bench.ids[0])
        _ = bench.scheduler.left(bench.ids[0], at: bench.now)
        for _ in 0..<5 { #expect(bench.send()?.worker == bench.ids[1]) }
        #expect(bench.scheduler.worker(bench.ids[0]) != nil, "its books are not empty")
        bench.finish(ticket, .answered)
        #expect(bench.scheduler.worker(bench.ids[0]) == nil)
        let again = bench.scheduler.joined(address: "other")
        #expect(again.slot == bench.ids[0].slot && again != bench.ids[0])
        _ = bench.scheduler.drain(bench.ids[1], true, at: bench.now)
        #expect(bench.send() == nil)
        bench.take(bench.scheduler.drain(bench.ids[1], false, at: bench.now))
        #expect(bench.given.count == 1)
    }
}
