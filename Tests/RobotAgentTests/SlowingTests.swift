import GrootCore
import Testing

@testable import RobotAgent

/// Where the arms go between an order to stand and standing: on the way that was planned, never past it.
struct SlowingTests {
    /// What brings moving arms to rest.
    enum Cause: CaseIterable, Sendable {
        case stop
        case pause
        case success
        case end
        case quit

        func happen(to bench: inout MachineBench) {
            switch self {
            case .stop: bench.order(.stop)
            case .pause: bench.order(.pause)
            case .success: bench.order(.success)
            case .end: bench.request(.endEpisode)
            case .quit: bench.order(.quit)
            }
        }
    }

    /// 0.3 rad to the side and back: whatever happens on the way, no joint is ever beyond what the policy asked for.
    @Test(arguments: Cause.allCases)
    func noArmPassesItsPlan(cause: Cause) throws {
        let swing: [Float] = [
            0.01, 0.04, 0.1, 0.18, 0.25, 0.29, 0.3, 0.3, 0.29, 0.25, 0.18, 0.1, 0.04, 0.01, 0, 0,
        ]
        for moment in 1...165 {
            var bench = MachineBench()
            try bench.enter(.waiting)
            let start = bench.command
            let values = swing.flatMap { (away: Float) -> [Float] in [start[0] + away, start[1] - away, 40] }
            let chunk = try #require(
                ActionChunk(names: MachineBench.names, rows: 16, values: values, period: .milliseconds(100))
            )
            let report = bench.request(.merge(ChunkArrival(id: 1, chunk: chunk, capturedTick: bench.tick)))
            #expect(report?.result == .applied(staleRows: 0))
            bench.run(moment)
            let isMoving = bench.machine.gate.isMoving
            cause.happen(to: &bench)
            var previous = bench.command
            var moving = 0
            for tick in 1...40 {
                bench.run()
                let command = bench.command
                let away = [command[0] - start[0], start[1] - command[1]]
                #expect(away.allSatisfy { (-1e-4...0.3 + 1e-4).contains($0) }, "\(cause) at \(moment): \(away)")
                #expect(abs(command[0] - previous[0]) <= 0.02 + 1e-5, "\(cause) at \(moment)")
                if command != previous { moving = tick }
                previous = command
            }
            #expect(moving <= MachineBench.stopTicks, "\(cause) at \(moment)")
            if isMoving, (20..<50).contains(moment) {
                #expect(moving > 20, "a deceleration and no halt, \(cause) at \(moment)")
            }
        }
    }

    /// A chunk that ends in full motion, and none comes after it.
    @Test func aPlanThatNothingFollowsEndsAtRest() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        let start = bench.command
        let rows: [Float] = [0.02, 0.08, 0.18, 0.3]
        let values = rows.flatMap { (away: Float) -> [Float] in [start[0] + away, start[1] - away, 40] }
        let chunk = try #require(
            ActionChunk(names: MachineBench.names, rows: 4, values: values, period: .milliseconds(100))
        )
        bench.request(.merge(ChunkArrival(id: 1, chunk: chunk, capturedTick: bench.tick)))
        var step: Float = 0
        for tick in 1...80 {
            let before = bench.command
            bench.run()
            let next = bench.command[0] - before[0]
            #expect(abs(next - step) <= 20 * 1e-4 + 1e-5, "tick \(tick)")
            #expect(bench.command[0] <= start[0] + 0.3 + 1e-4, "tick \(tick)")
            step = next
        }
        #expect(bench.phase == .holding)
        #expect(abs(bench.command[0] - start[0] - 0.3) < 1e-4 && abs(start[1] - bench.command[1] - 0.3) < 1e-4)
    }

    /// On the way home nobody goes beyond home.
    @Test func noArmPassesHome() throws {
        var total = 0
        while true {
            var bench = MachineBench()
            bench.request(.home(id: 1, opensClaws: false))
            bench.run(total + 1)
            guard bench.phase == .homing else { break }
            bench.order(.stop)
            bench.run(MachineBench.stopTicks)
            #expect(bench.phase == .stopped, "after \(total) ticks")
            #expect(bench.command[0] <= MachineBench.home[0] && bench.command[1] >= MachineBench.home[1])
            total += 1
        }
        #expect(total > 100)
    }

    /// Arms that the gate holds back are not where the plan is: they slow down where they are, within the limits.
    @Test func heldBackArmsSlowDownWhereTheyAre() throws {
        var bench = MachineBench()
        try bench.enter(.standing)
        var tuning = EpisodeTuning()
        tuning.maximumVelocity = 0.2
        bench.request(.beginEpisode(tuning))
        let start = bench.command
        // 0.3 rad/s where 0.2 are allowed.
        _ = try bench.chunk(0.48)
        bench.run(50)
        let before = bench.command
        #expect(bench.machine.way == nil)
        bench.order(.stop)
        bench.run(MachineBench.stopTicks)
        #expect(bench.phase == .stopped)
        #expect(bench.command[0] > before[0] && bench.command[0] - before[0] <= 0.2 * 0.3 / 2 + 1e-3)
        #expect(before[0] > start[0])
    }
}
