import Foundation
import GrootCore
import Testing

@testable import Gateway

/// Who waits, in what order, and who is sent away.
struct SchedulerWaitingTests {
    @Test
    func oneBatchRunsAndTheNextIsSentJustBeforeItEnds() {
        var bench = Bench(workers: 1, batch: 4, times: [[100, 110, 120, 130]])
        let running = bench.send("r0")
        #expect(running != nil)
        for robot in 1...6 {
            #expect(bench.send("r\(robot)") == nil, "the batch runs; hold what can still be replaced")
        }
        #expect(bench.scheduler.books.waiting.count == 6)
        #expect(bench.scheduler.books.wakeAt(after: bench.now) == at(80))
        bench.now = at(80)
        let given = bench.scheduler.timePassed(at: bench.now).assignments
        #expect(given.count == 4, "one batch being uploaded")
        #expect(bench.scheduler.books.waiting.count == 2)
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
        #expect(bench.scheduler.books.waiting.entries.map(\.robot) == ["a", "b"])
        #expect(bench.scheduler.books.robots.robots["a"]?.superseded == 1)
        #expect(bench.send("a", checkpoint: "policy") == nil)
        #expect(bench.scheduler.books.waiting.count == 3, "another selector is another request")
    }

    @Test
    func aRobotHasOneRequestInHandAndAHedgeOfIt() {
        var bench = Bench(workers: 2, batch: 8, times: [[50, 60], [50, 60]])
        #expect(bench.send("a", observation: 1, call: 7) != nil)
        #expect(bench.send("a", observation: 1, call: 7) != nil, "the same request again is the robot's own hedge")
        #expect(bench.send("a", observation: 1, call: 7) == nil, "there is one hedge, not nine")
        var other = Bench(workers: 2, batch: 8, times: [[50, 60], [50, 60]])
        #expect(other.send("a", observation: 1) != nil)
        #expect(other.send("a", observation: 1) == nil, "a number that comes again is no hedge")
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
    func nobodyOvertakesWhoWaitsForTheSameWorker() {
        var bench = Bench(workers: 1, batch: 1, times: [[100]])
        let running = bench.send("a")
        #expect(bench.send("b") == nil && bench.send("c") == nil)
        if let running { bench.answer(running, after: 100) }
        #expect(bench.given.map(\.request.number) == [1])
    }
}
