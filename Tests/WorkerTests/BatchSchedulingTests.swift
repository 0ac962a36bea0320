import GrootCore
import Testing

@testable import Worker

/// Timing: gathering, runways, pacing, and what is refused at once. The clock is the test's.
@Suite
struct BatchSchedulingTests {
    private typealias Queue = BatchQueue<Int>

    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    /// One row takes 10 ms, each further one 2 ms.
    private func queue(
        maxWaiting: Int = 16,
        maxBatch: Int = 4,
        pacing: Duration = .zero,
        gather: Duration = .zero
    ) -> Queue {
        let seeds = (1...maxBatch).map {
            PolicyDescription.BatchTime(batch: $0, infer: .milliseconds(8 + 2 * $0))
        }
        return Queue(
            configuration: .init(maxWaiting: maxWaiting, maxBatch: maxBatch, pacing: pacing, gather: gather),
            times: BatchTimes(maxBatch: maxBatch, seeds: seeds)
        )
    }

    private func at(_ milliseconds: Int64) -> MonotonicInstant { start + .milliseconds(milliseconds) }

    private func entry(_ id: Int, deadline: Int64? = nil, dry: Int64? = nil) -> Queue.Entry {
        Queue.Entry(
            id: id,
            robot: "r\(id)",
            observation: 1,
            deadline: deadline.map(at),
            runsDryAt: dry.map(at)
        )
    }

    @Test
    func `a free runtime never waits unless told to`() {
        var queue = queue()
        #expect(queue.requestArrived(entry(1, dry: 5000), at: start) == [.run([1])])
    }

    @Test
    func `gathering ends when the batch is full`() {
        var queue = queue(maxBatch: 2, gather: .milliseconds(50))
        #expect(queue.requestArrived(entry(1, dry: 5000), at: start) == [.wake(at: at(50))])
        #expect(queue.requestArrived(entry(2, dry: 5000), at: at(3)) == [.run([1, 2])])
    }

    @Test
    func `gathering ends with its time`() {
        var queue = queue(gather: .milliseconds(50))
        #expect(queue.requestArrived(entry(1), at: start) == [.wake(at: at(50))])
        #expect(queue.requestArrived(entry(2), at: at(20)) == [])
        // A timer that fires early gets another one.
        #expect(queue.timeReached(at: at(49)) == [.wake(at: at(50))])
        #expect(queue.timeReached(at: at(50)) == [.run([1, 2])])
    }

    @Test
    func `gathering never costs a robot its motion`() {
        var queue = queue(gather: .milliseconds(500))
        #expect(queue.requestArrived(entry(1, dry: 900), at: start) == [.wake(at: at(500))])
        // A full batch takes 16 ms, and a quarter of that to spare: 100 - 20.
        #expect(queue.requestArrived(entry(2, dry: 100), at: at(10)) == [.wake(at: at(80))])
        #expect(queue.timeReached(at: at(80)) == [.run([1, 2])])
    }

    @Test
    func `a robot that is dry already is served at once`() {
        var queue = queue(pacing: .seconds(1), gather: .milliseconds(500))
        #expect(queue.requestArrived(entry(1, dry: 0), at: start) == [.run([1])])
        _ = queue.batchFinished(at: at(10))
        #expect(queue.requestArrived(entry(1, dry: 20), at: at(20)) == [.run([1])])
    }

    @Test
    func `pacing holds a robot back without holding the others`() {
        var queue = queue(pacing: .milliseconds(100))
        #expect(queue.requestArrived(entry(1, dry: 5000), at: start) == [.run([1])])
        #expect(queue.batchFinished(at: at(10)) == [])
        #expect(queue.requestArrived(entry(1, dry: 5000), at: at(30)) == [.wake(at: at(100))])
        #expect(queue.requestArrived(entry(2, dry: 5000), at: at(40)) == [.run([2])])
        #expect(queue.batchFinished(at: at(50)) == [])
        #expect(queue.timeReached(at: at(100)) == [.run([1])])
    }

    @Test
    func `pacing gives way before the robot runs dry`() {
        var queue = queue(pacing: .milliseconds(1000))
        #expect(queue.requestArrived(entry(1, dry: 200), at: start) == [.run([1])])
        #expect(queue.batchFinished(at: at(10)) == [])
        #expect(queue.requestArrived(entry(1, dry: 200), at: at(30)) == [.wake(at: at(180))])
        #expect(queue.timeReached(at: at(180)) == [.run([1])])
    }

    @Test
    func `who would run dry by waiting goes first, everybody else keeps the place`() {
        var queue = queue(maxBatch: 2)
        _ = queue.requestArrived(entry(1), at: start)
        for id in 2...5 { _ = queue.requestArrived(entry(id, dry: 5000), at: at(1)) }
        // 12 ms a full batch: in time if it runs now (from 10), too late if it runs next.
        _ = queue.requestArrived(entry(6, dry: 30), at: at(2))
        #expect(queue.batchFinished(at: at(10)) == [.run([2, 6])])
        #expect(queue.batchFinished(at: at(22)) == [.run([3, 4])])
    }

    @Test
    func `nobody is passed over for ever`() {
        var queue = queue(maxBatch: 1)
        _ = queue.requestArrived(entry(1), at: start)
        _ = queue.requestArrived(entry(2), at: at(1))
        var now: Int64 = 10
        var order: [Int] = []
        for id in 3...8 {
            _ = queue.requestArrived(entry(id, dry: now + 15), at: at(now))
            if case .run(let ids)? = queue.batchFinished(at: at(now)).last { order += ids }
            now += 10
        }
        #expect(order.firstIndex(of: 2).map { $0 <= 2 } == true, "\(order)")
    }

    @Test
    func `what cannot be answered in time is refused at once, with when to come back`() {
        var queue = queue(maxBatch: 2)
        _ = queue.requestArrived(entry(1), at: start)
        // 10 ms are left of the running batch, 10 more for its own.
        let late = queue.requestArrived(entry(2, deadline: 19), at: start)
        #expect(late == [.refuseLate(2, retryAfter: .milliseconds(1))])
        #expect(queue.requestArrived(entry(3, deadline: 20), at: start) == [])
        #expect(queue.requestArrived(entry(4, deadline: 22), at: start) == [])
        // Behind a full batch of 12 ms.
        let behind = queue.requestArrived(entry(5, deadline: 30), at: start)
        #expect(behind == [.refuseLate(5, retryAfter: .milliseconds(2))])
        #expect(queue.batchFinished(at: at(10)) == [.run([3, 4])])
    }

    @Test
    func `a full queue says when the runtime is free`() {
        var queue = queue(maxWaiting: 1)
        _ = queue.requestArrived(entry(1), at: start)
        _ = queue.requestArrived(entry(2), at: at(1))
        #expect(queue.requestArrived(entry(3), at: at(4)) == [.refuse(3, retryAfter: .milliseconds(6))])
    }

    @Test
    func `times are learnt, and guessed between and beyond what is known`() {
        var times = BatchTimes(maxBatch: 8)
        #expect(times[3] == .zero)
        times.batchFinished(size: 2, took: .milliseconds(20))
        #expect(times[1] == .milliseconds(20))
        #expect(times[4] == .milliseconds(40))
        times.batchFinished(size: 6, took: .milliseconds(40))
        #expect(abs(times[4].milliseconds - 30) < 1e-6)
        times.batchFinished(size: 2, took: .milliseconds(30))
        #expect(abs(times[2].milliseconds - 22) < 1e-6)
    }

    /// Random robots on a random clock: a batch never starts while another runs, nothing is lost, and a runtime is
    /// idle with work waiting only when gathering or pacing says so and a wake is due.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `random fleets keep the promises`(seed: UInt64) {
        var random = SplitMix(state: seed)
        let gather = Duration.milliseconds(Int64(random.next() % 3) * 15)
        let pacing = Duration.milliseconds(Int64(random.next() % 3) * 40)
        var queue = queue(maxWaiting: 8, maxBatch: 3, pacing: pacing, gather: gather)
        var now: Int64 = 0
        var running: [Int]?
        var finish: Int64 = 0
        var open: Set<Int> = []
        var wakes: [Int64] = []
        var lastStart: [Int: Int64] = [:]
        var entries: [Int: (robot: Int, dry: Int64)] = [:]
        var id = 0

        func carryOut(_ actions: [Queue.Action]) {
            for action in actions {
                switch action {
                case .run(let ids):
                    #expect(running == nil && ids.count <= 3, "seed \(seed)")
                    for one in ids {
                        #expect(open.remove(one) != nil)
                        guard let (robot, dry) = entries[one] else { continue }
                        if let last = lastStart[robot], pacing > .zero {
                            let paced = now - last >= pacing.nanoseconds / 1_000_000
                            #expect(paced || dry - now <= 30, "\(robot) at \(now) after \(last), seed \(seed)")
                        }
                        lastStart[robot] = now
                    }
                    running = ids
                    finish = now + Int64(8 + 2 * ids.count)
                case .supersede(let one, _), .refuse(let one, _), .refuseLate(let one, _), .expire(let one):
                    #expect(open.remove(one) != nil, "seed \(seed)")
                case .wake(let instant):
                    wakes.append((instant - start).nanoseconds / 1_000_000)
                }
            }
        }

        for _ in 0..<2000 {
            now += 1
            if running != nil, finish <= now {
                running = nil
                carryOut(queue.batchFinished(at: at(now)))
            }
            let due = wakes.filter { $0 <= now }
            wakes.removeAll { $0 <= now }
            for _ in due { carryOut(queue.timeReached(at: at(now))) }
            if random.next() % 4 == 0 {
                id += 1
                let robot = Int(random.next() % 10)
                let dry = now + Int64(random.next() % 200)
                open.insert(id)
                entries[id] = (robot, dry)
                var entry = entry(id, dry: dry)
                entry.robot = "r\(robot)"
                carryOut(queue.requestArrived(entry, at: at(now)))
            }
            #expect(queue.waitingCount == open.count, "seed \(seed)")
            #expect(running != nil || open.isEmpty || !wakes.isEmpty, "work waits with no wake, seed \(seed)")
        }
    }
}

private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
