import GrootCore
import Testing

@testable import RobotAgent

/// The link is gone for up to a minute, in the machines' own time: the arms stand, and the episode goes on unless its time
/// limit or a person ends it. `LinkCutSerialTests` has the same with sockets, for as long as a test may take.
struct LinkCutTests {
    struct Cut: Sendable, CustomTestStringConvertible {
        var link: LinkState
        var seconds: Int
        var testDescription: String { "\(link) for \(seconds) s" }

        static let all = [LinkState.silent, .noWorkers].flatMap { link in
            [5, 15, 40, 60].map { Cut(link: link, seconds: $0) }
        }
    }

    /// A bench with the times of the profile that ships, following chunks.
    private func bench() throws -> MachineBench {
        let shipped = SafetyGate.Limits(try ProfileCatalog.load("5_wheel"), dimensions: 16)
        var configuration = MachineBench.configuration()
        configuration.limits.hold = shipped.hold
        configuration.limits.linkHold = shipped.linkHold
        configuration.limits.workersHold = shipped.workersHold
        var bench = MachineBench(configuration)
        try bench.enter(.following)
        return bench
    }

    /// Runs through the cut; the arms come to rest within a second of the plan's end and then stand, streaming.
    private func cut(_ bench: inout MachineBench, _ cut: Cut) {
        bench.inputs.link = cut.link
        bench.run(until: .holding)
        bench.run(100)
        let pose = bench.command
        for _ in 0..<(cut.seconds * 100 - 100) {
            bench.run()
            #expect(bench.command == pose && bench.isPublishing)
        }
        #expect(bench.phase == .holding && bench.status.fault == nil)
        #expect(bench.status.hold == (cut.link == .silent ? .linkLost : .workersLost))
        #expect(bench.status.isInEpisode && bench.status.episodeEnd == nil)
    }

    @Test(arguments: Cut.all)
    func itComesBackAndTheEpisodeGoesOn(cut: Cut) throws {
        var bench = try bench()
        self.cut(&bench, cut)
        bench.inputs.link = .reachable
        // The gateway takes its time for the first answer.
        bench.run(150)
        #expect(bench.phase == .holding && bench.status.hold == .starved && bench.status.fault == nil)
        #expect(try bench.chunk(0.2, id: 9)?.result == .applied(staleRows: 0))
        bench.run(50)
        #expect(bench.phase == .following && bench.status.isInEpisode)
        // A second cut has the whole time again.
        self.cut(&bench, cut)
    }

    /// A chunk that was planned before the cut is not executed behind it.
    @Test(arguments: Cut.all)
    func whatWasOnItsWayIsCheckedLikeAFirstChunk(cut: Cut) throws {
        var bench = try bench()
        self.cut(&bench, cut)
        bench.inputs.link = .reachable
        #expect(try bench.chunk(9, id: 9)?.refusal == .unfit)
        bench.run(60)
        guard case .farFromPose? = bench.status.fault else {
            Issue.record("\(String(describing: bench.status.fault))")
            return
        }
    }

    @Test(arguments: Cut.all, RobotAgent.Order.allCases)
    func aPersonEndsIt(cut: Cut, order: RobotAgent.Order) throws {
        var bench = try bench()
        self.cut(&bench, cut)
        let pose = bench.command
        bench.order(order)
        bench.run(MachineBench.stopTicks + 2)
        switch OrderTable.reaction(to: order, in: .holding) {
        case .ignored: #expect(bench.phase == .holding && bench.status.isInEpisode)
        case .pause: #expect(bench.phase == .paused && bench.status.isInEpisode)
        case .home: #expect(bench.phase == .homing && bench.status.episodeEnd == .ordered(order))
        case .leave, .leaveAtOnce: #expect(bench.phase == .leaving && bench.status.leaveOrder == order)
        default: #expect(!bench.status.isInEpisode && bench.status.episodeEnd == .ordered(order))
        }
        if bench.phase != .homing { #expect(bench.command == pose) }
        #expect(bench.status.fault == nil)
    }

    /// Held time counts: an episode of 20 s ends 20 s after its first action, held or not, and nothing drives on behind it.
    @Test func itsTimeLimitEndsIt() throws {
        for limit in [1, 20, 59] {
            var bench = try bench()
            let start = MonotonicInstant(nanoseconds: 0)
            var episode = EpisodeMachine(limits: .init(episode: .seconds(limit)), startedAt: start)
            episode.firstActionExecuted(at: start)
            bench.inputs.link = .silent
            var ticks = 0
            while episode.verdict == nil, ticks < 6000 {
                bench.run()
                ticks += 1
                episode.timePassed(start + .milliseconds(10 * ticks))
            }
            #expect(episode.verdict?.outcome == .timeout && episode.verdict?.duration == .seconds(limit))
            bench.request(.endEpisode)
            bench.run(MachineBench.stopTicks + 2)
            #expect(bench.phase == .standing && bench.status.fault == nil)
            bench.inputs.link = .reachable
            #expect(try bench.chunk(0.1, id: 9)?.refusal == .noEpisode)
        }
    }

    /// Behind `link_hold_ms` it is a fault, with that name.
    @Test(arguments: [(LinkState.silent, Fault.linkLost), (.noWorkers, .workersLost)])
    func twoMinutesAreTheEnd(link: LinkState, fault: Fault) throws {
        var bench = try bench()
        cut(&bench, Cut(link: link, seconds: 119))
        bench.run(200)
        #expect(bench.status.fault == fault && bench.phase == .leaving)
    }
}
