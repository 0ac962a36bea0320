import GrootCore
import Testing

@testable import RobotAgent

/// Every cell of the table phase x order in docs/safety.md, walked on the machine itself.
struct SessionOrderTests {
    struct Cell: Sendable, CustomStringConvertible {
        var phase: SessionPhase
        var order: Order
        var description: String { "\(phase) x \(order)" }

        static let all = SessionPhase.allCases.flatMap { phase in
            Order.allCases.map { Cell(phase: phase, order: $0) }
        }
    }

    /// Where the arms come to stand, and what is published there.
    private func expected(_ cell: Cell, _ before: SessionPhase) -> (phase: SessionPhase, isPublishing: Bool)? {
        switch OrderTable.reaction(to: cell.order, in: before) {
        case .ignored: nil
        case .stop: (.stopped, before != .silent)
        case .pause: (.paused, before != .silent)
        case .goOn:
            switch before {
            case .paused: (.waiting, true)
            default: (.standing, true)
            }
        case .home: (.stopped, true)
        case .endEpisode: (.standing, true)
        case .leave, .leaveAtOnce: (.leaving, false)
        }
    }

    @Test(arguments: Cell.all)
    func anOrderDoesWhatTheTableSays(cell: Cell) throws {
        var bench = MachineBench.fit(for: cell.phase)
        try bench.enter(cell.phase)
        var undisturbed = bench
        let start = bench.command
        let reaction = OrderTable.reaction(to: cell.order, in: cell.phase)
        bench.order(cell.order)
        // A drive home that was ordered takes its time; everything else stands within `stop_ms`.
        let limit = reaction == .home ? 600 : MachineBench.stopTicks + 2
        for _ in 0..<limit {
            undisturbed.run()
            let before = bench.command
            bench.run()
            for joint in 0..<2 {
                #expect(abs(bench.command[joint] - before[joint]) <= 0.0201, "2 rad/s at most")
                #expect((-1...1).contains(bench.command[joint]))
            }
            if reaction != .ignored, reaction != .home, reaction != .goOn {
                for joint in 0..<2 { #expect(abs(bench.command[joint] - start[joint]) < 2 * 0.3) }
            }
        }
        guard let expected = expected(cell, cell.phase) else {
            #expect(bench.phase == undisturbed.phase, "ignored means ignored")
            #expect(bench.command == undisturbed.command)
            return
        }
        #expect(bench.phase == expected.phase)
        #expect(bench.isPublishing == expected.isPublishing)
        #expect(bench.status.fault == nil)
        if reaction != .home { #expect(bench.command[2] == start[2], "claws as they are") }
        let isEpisode = [.waiting, .following, .holding, .paused].contains(cell.phase)
        let isOver = ![.ignored, .pause, .goOn].contains(reaction)
        #expect(bench.status.episodeEnd == (isEpisode && isOver ? .ordered(cell.order) : undisturbed.status.episodeEnd))
        // It stays so until somebody says otherwise.
        let rest = bench.command
        bench.run(300)
        #expect(bench.phase == expected.phase)
        #expect(bench.command == rest)
    }

    @Test func aSecondInterruptLeavesAtOnce() throws {
        for phase in SessionPhase.allCases where phase != .leaving && phase != .ended {
            var bench = MachineBench.fit(for: phase)
            try bench.enter(phase)
            bench.order(.interrupt)
            bench.run()
            bench.order(.interrupt)
            bench.run()
            #expect(bench.phase == .leaving, "\(phase)")
            #expect(!bench.isPublishing)
        }
    }

    /// At a terminal the first Ctrl+C stops the arms, and only the next one ends the run; after going on it counts anew.
    @Test func anAttendedInterruptStopsAndWaits() throws {
        var configuration = MachineBench.configuration()
        configuration.isAttended = true
        var bench = MachineBench(configuration)
        try bench.enter(.following)
        bench.order(.interrupt)
        bench.run(200)
        #expect(bench.phase == .stopped && bench.isPublishing)
        bench.order(.resume)
        bench.run()
        #expect(bench.phase == .standing)
        bench.request(.home(id: 9, opensClaws: false))
        bench.run(20)
        bench.order(.interrupt)
        bench.run()
        #expect(bench.phase == .stopping, "it decelerates again: the stop before was settled")
        bench.order(.interrupt)
        bench.run()
        #expect(bench.phase == .leaving)
    }

    @Test func ofSeveralOrdersTheMostSevereWins() throws {
        var bench = MachineBench()
        try bench.enter(.following)
        bench.order(.resume, .home, .stop)
        bench.run(200)
        #expect(bench.phase == .stopped, "no order to move is obeyed behind one to stand")
        bench = MachineBench()
        try bench.enter(.following)
        bench.order(.pause, .terminate)
        bench.run(200)
        #expect(bench.phase == .leaving)
    }

    @Test func aPauseTwiceGoesOn() throws {
        var bench = MachineBench()
        try bench.enter(.homing)
        bench.order(.pause)
        bench.run(100)
        #expect(bench.phase == .paused)
        let pose = bench.command
        bench.run(500)
        #expect(bench.command == pose && bench.isPublishing)
        bench.order(.pause)
        bench.run()
        #expect(bench.phase == .standing, "the run asks for the way home again")
        // A key that bounces is one pause.
        bench = MachineBench()
        try bench.enter(.following)
        bench.order(.pause)
        bench.run(3)
        bench.order(.pause)
        bench.run(until: .paused)
    }

    @Test func homeAfterAStopKeepsTheGripAndWaits() throws {
        var bench = MachineBench()
        try bench.enter(.stopped)
        bench.order(.home)
        bench.run(until: .homing)
        bench.order(.pause)
        bench.run(100)
        #expect(bench.phase == .stopped, "who drove the arms says how to go on")
        bench.order(.home)
        bench.run(until: .homing)
        bench.run(until: .stopped)
        #expect(abs(bench.command[0] - 0.5) < 1e-3 && bench.command[2] == 40)
        bench.run(500)
        #expect(bench.phase == .stopped)
        let late = try arrival(of: bench)
        #expect(bench.request(.merge(late))?.refusal == .noEpisode)
    }

    private func arrival(of bench: MachineBench) throws -> ChunkArrival {
        let chunk = try #require(
            ActionChunk(names: MachineBench.names, rows: 1, values: bench.command, period: .milliseconds(100))
        )
        return ChunkArrival(id: 7, chunk: chunk, capturedTick: bench.tick)
    }

    @Test func requestsOfTheRunMoveNothingThatAPersonStopped() throws {
        for phase in [SessionPhase.stopped, .paused, .leaving, .ended] {
            var bench = MachineBench()
            try bench.enter(phase)
            let pose = bench.command
            bench.request(.home(id: 5, opensClaws: true))
            bench.request(.beginEpisode())
            bench.request(.release)
            bench.run(100)
            #expect(bench.phase == phase && bench.command == pose)
        }
    }
}
