import Foundation
import GrootCore
import Testing

@testable import Gateway

/// A worker that does not answer looks worse with time, whatever it says of itself; absurd reports distort nothing.
struct SchedulerAgeingTests {
    /// The first worker takes requests and never answers; its reports say that it is idle.
    @Test
    func whatIsNotAnsweredByItsTimeGrowsLater() {
        var bench = Bench(workers: 2, batch: 4, times: [[20, 22, 24, 26], [20, 22, 24, 26]])
        let (hanging, healthy) = (bench.ids[0], bench.ids[1])
        var toHanging: [Int] = []
        for round in 0..<100 {
            guard let ticket = bench.send("r\(round)") else {
                bench.now = bench.now + .milliseconds(25)
                continue
            }
            if ticket.worker == healthy {
                var load = WorkerLoad()
                (load.queue, load.running, load.capacity) = (0, 0, 4)
                bench.now = bench.now + .milliseconds(20)
                bench.take(bench.scheduler.finished(ticket, .answered, load: load, at: bench.now))
            } else {
                toHanging.append(round)
            }
        }
        #expect(toHanging.count <= 6, "\(toHanging)")
        #expect((bench.scheduler.worker(hanging)?.lateness(at: bench.now) ?? 0) > 1)
    }

    @Test
    func givingUpInTimeSaysNothingAndGivingUpLateEjects() {
        for (wait, isEjected) in [(400, false), (500, true)] {
            var bench = Bench(workers: 2)
            for _ in 0..<5 {
                let ticket = bench.sendUntil(bench.ids[0])
                bench.now = bench.now + .milliseconds(wait)
                bench.finish(ticket, .abandoned)
            }
            #expect(bench.takeEjections() == (isEjected ? [bench.ids[0]] : []))
        }
    }

    @Test
    func aWorkerThatHangsGetsOneRequestAtATimeToFindOut() {
        var bench = Bench(workers: 1, batch: 4, times: [[20, 22, 24, 26]])
        #expect(bench.send("r0") != nil)
        bench.now = at(1500)
        let probe = bench.send("r1")
        #expect(probe != nil, "one finds out")
        bench.now = at(1520)
        #expect(bench.send("r2") == nil)
        #expect(bench.send("r3") == nil)
        #expect(bench.scheduler.books.wakeAt(after: bench.now) == at(2000))
        if let probe { bench.finish(probe, .answered) }
        #expect(bench.given.count == 2, "it answers: who waits goes")
    }

    /// Another worker was asked later and answered first, five times in a row.
    @Test
    func whoIsOvertakenLateIsEjectedAndWhoIsOvertakenSoonIsNot() {
        for (wait, isEjected) in [(40, false), (250, true)] {
            var bench = Bench(workers: 2, batch: 4, times: [[20, 22, 24, 26], [20, 22, 24, 26]])
            for _ in 0..<5 {
                let ticket = bench.sendUntil(bench.ids[0])
                bench.now = bench.now + .milliseconds(wait)
                bench.finish(ticket, .overtaken)
                bench.now = bench.now + .seconds(60)
            }
            #expect(bench.takeEjections() == (isEjected ? [bench.ids[0]] : []))
        }
    }

    /// Five different robots that are refused without an answer in between are no five mistakes.
    @Test
    func refusingOneRobotAfterTheOtherEjectsAndRefusingOneDoesNot() {
        for (robots, isEjected) in [(1, false), (4, false), (5, true)] {
            var bench = Bench(workers: 2)
            _ = bench.scheduler.drain(bench.ids[1], true, at: bench.now)
            for round in 0..<20 {
                guard let ticket = bench.send("r\(round % robots)") else { continue }
                bench.finish(ticket, .declined)
            }
            #expect(bench.takeEjections() == (isEjected ? [bench.ids[0]] : []), "\(robots) robots")
        }
    }

    @Test
    func aWorkerThatFailsHalfOfWhatItGetsIsEjectedWithoutFivePeers() {
        var bench = Bench(workers: 2)
        for round in 0..<40 {
            bench.finish(bench.sendUntil(bench.ids[0]), round % 2 == 0 ? .failed : .answered)
            bench.now = bench.now + .milliseconds(10)
        }
        #expect(bench.takeEjections() == [], "never five in a row")
        bench.now = bench.now + .seconds(11)
        _ = bench.send()
        #expect(bench.takeEjections() == [bench.ids[0]])
    }

    /// Every figure of a report, absurdly large, alone and together: the other worker is not starved of requests, and the
    /// one that lies gets what its books allow.
    @Test(arguments: 0..<64)
    func absurdReportsDistortNothing(mask: Int) {
        var bench = Bench(workers: 1, batch: 4, times: [[20, 22, 24, 26]])
        let absurd = 999_999
        for round in 0..<50 {
            guard let ticket = bench.send("r\(round)") else {
                Issue.record("round \(round): nothing is in flight, and it waits")
                return
            }
            bench.now = bench.now + .milliseconds(20)
            var load = WorkerLoad()
            if mask & 1 != 0 { load.queue = absurd }
            if mask & 2 != 0 { load.running = absurd }
            if mask & 4 != 0 { load.capacity = absurd }
            if mask & 8 != 0 { load.batch = absurd }
            if mask & 16 != 0 { load.batchSeconds = Double(absurd) }
            if mask & 32 != 0 { load.leftSeconds = Double(absurd) }
            bench.take(bench.scheduler.finished(ticket, .answered, load: load, at: bench.now))
            let worker = bench.scheduler.worker(bench.ids[0])
            #expect(worker?.capacity == 4)
            #expect((worker?.groups[0].times.seconds(batch: 1, idle: false, at: bench.now) ?? 9) < 0.1)
            bench.now = bench.now + .seconds(2)
        }
    }

    @Test
    func aDescriptionOfHugeBatchesIsNotBelieved() {
        var bench = Bench(workers: 1, batch: 999_999)
        var sent = 0
        for round in 0..<500 where bench.send("r\(round)") != nil { sent += 1 }
        #expect(sent <= 65, "\(sent)")
    }

    /// Checkpoints come and go with requests in flight: books and selectors stay right.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func checkpointsComeAndGo(seed: UInt64) {
        var random = SplitMix(state: seed)
        var bench = Bench(workers: 1)
        var open: [Ticket] = []
        for _ in 0..<300 {
            switch random.next() % 3 {
            case 0:
                let names = ["a", "b", "c", "d"].shuffled(using: &random).prefix(Int(random.next() % 3) + 1)
                bench.describe(0, Array(names))
                open += bench.given.map(\.ticket)
                for name in ["a", "b", "c", "d"] {
                    let isServed = bench.scheduler.worker(bench.ids[0])?.group(for: name) != nil
                    #expect(isServed == names.contains(name))
                }
            case 1:
                if let ticket = bench.send(checkpoint: ["a", "b", "c", "d"].randomElement(using: &random)) {
                    open.append(ticket)
                }
            default:
                guard let ticket = open.popLast() else { continue }
                bench.finish(ticket, .answered)
                open += bench.given.map(\.ticket)
            }
            let worker = bench.scheduler.worker(bench.ids[0])
            #expect(worker?.inFlight == open.count)
            #expect(worker?.groups.reduce(0) { $0 + $1.inFlight } == open.count)
            #expect((worker?.groups.count ?? 0) <= 8)
        }
    }
}
