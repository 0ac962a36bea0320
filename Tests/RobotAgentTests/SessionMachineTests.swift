import GrootCore
import Testing

@testable import RobotAgent

/// What the session machine does by itself: homing, chunks, holds, faults.
struct SessionMachineTests {
    @Test func homingKeepsItsSpeedAndArrives() throws {
        var bench = MachineBench()
        bench.request(.home(id: 3, opensClaws: false))
        var fastest: Float = 0
        var left = 1000
        while bench.status.completedMove != 3, left > 0 {
            let before = bench.command
            bench.run()
            if bench.tick > 1 { fastest = max(fastest, abs(bench.command[0] - before[0])) }
            left -= 1
        }
        #expect(bench.phase == .standing)
        #expect(abs(bench.command[0] - 0.5) < 1e-4 && abs(bench.command[1] + 0.5) < 1e-4)
        #expect(fastest <= 0.00401 && fastest > 0.0038, "0.4 rad/s: \(fastest)")
        #expect(bench.command[2] == 40, "claws keep their grip")
    }

    @Test func flagsHoldWhileHomingToo() throws {
        var configuration = MachineBench.configuration()
        configuration.frozen = [0]
        configuration.maximumVelocity = 0.1
        var bench = MachineBench(configuration)
        bench.request(.home(id: 1, opensClaws: true))
        bench.run()
        for _ in 0..<800 {
            let before = bench.command
            bench.run()
            #expect(bench.command[0] == 0, "the frozen arm stays")
            #expect(abs(bench.command[1] - before[1]) <= 0.00101)
        }
        bench.run(until: .standing)
        #expect(abs(bench.command[1] + 0.5) < 1e-4 && bench.command[2] == 0)
    }

    enum BadPose: Float, CaseIterable, Sendable {
        case degrees = -28.6
        case justOutside = 1.2
        case nan = 0
    }

    @Test(arguments: BadPose.allCases, [false, true])
    func noMotionStartsFromAPoseThatTheArmCannotHave(bad: BadPose, isEpisode: Bool) throws {
        var bench = MachineBench(at: [0, bad == .nan ? .nan : bad.rawValue, 0])
        bench.request(isEpisode ? .beginEpisode() : .home(id: 1, opensClaws: false))
        for _ in 0..<50 {
            bench.run()
            #expect(!bench.isPublishing)
        }
        #expect(bench.phase == .leaving)
        guard case .impossiblePose(1, _) = bench.status.fault else {
            Issue.record("\(String(describing: bench.status.fault))")
            return
        }
        let limits = MachineBench.configuration().limits
        let text = bench.status.fault?.text(names: ["zarm_l1_joint", "zarm_l2_joint"], limits: limits)
        #expect(text?.contains("zarm_l2_joint reads") == true && text?.contains("-1.0 to 1.0") == true, "\(text ?? "")")
    }

    /// Encoders may be off by a little: the command is inside all the same.
    @Test func aPoseWithinTheMarginStartsAtTheLimit() throws {
        var bench = MachineBench(at: [1.05, 0, 0])
        bench.request(.home(id: 1, opensClaws: false))
        bench.run()
        #expect(bench.isPublishing && bench.command[0] <= 1)
        bench.run(until: .standing)
    }

    @Test func anEpisodeFollowsChunksAndCountsThem() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        #expect(try bench.chunk(0.3)?.result == .applied(staleRows: 0))
        bench.run(50)
        #expect(bench.phase == .following)
        #expect(try bench.chunk(0.3, id: 2)?.result == .applied(staleRows: 0))
        bench.run(50)
        #expect(bench.status.counters.chunks == 2 && bench.status.counters.ticks == 100)
        #expect(bench.status.counters.starvedTicks == 0)
        bench.request(.endEpisode)
        bench.run(until: .standing)
        #expect(bench.status.counters.chunks == 2, "the counts stay to be read")
        #expect(bench.status.episodeEnd == nil)
    }

    @Test func aFirstChunkFarAwayIsAFault() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        let start = bench.command
        #expect(try bench.chunk(9)?.refusal == .unfit)
        bench.run(20)
        #expect(bench.phase == .leaving && bench.command == start)
        guard case .farFromPose(0, _) = bench.status.fault else {
            Issue.record("\(String(describing: bench.status.fault))")
            return
        }
    }

    /// Whatever held the arms: the next chunk passes the first-action check, and from the measured pose.
    @Test(arguments: HoldReason.allCases)
    func afterEveryHoldTheFirstActionIsChecked(reason: HoldReason) throws {
        for isFar in [false, true] {
            var bench = MachineBench()
            try bench.enter(.following)
            try hold(&bench, reason)
            bench.run(40)
            release(&bench, reason)
            bench.run(until: .holding)
            bench.run(40)
            #expect(bench.phase == .holding)
            let pose = bench.command
            let report = try bench.chunk(isFar ? 9 : 0.2, id: 5)
            if isFar {
                #expect(report?.refusal == .unfit, "\(reason)")
                bench.run(60)
                #expect(bench.phase == .leaving && bench.status.fault != nil)
                #expect(zip(pose, bench.command).allSatisfy { abs($0 - $1) < 1e-4 }, "nothing of it moved the arms")
            } else {
                #expect(report?.result == .applied(staleRows: 0), "\(reason) \(String(describing: report))")
                bench.run(20)
                #expect(bench.phase == .following)
            }
        }
    }

    private func hold(_ bench: inout MachineBench, _ reason: HoldReason) throws {
        switch reason {
        case .starved: bench.run(until: .holding)
        case .linkLost:
            bench.inputs.link = .silent
            bench.run(until: .holding)
        case .workersLost:
            bench.inputs.link = .noWorkers
            bench.run(until: .holding)
        case .staleAction:
            // Sixteen rows last 1.6 s: only old observations have plans that are too old.
            bench.run(until: .holding)
        case .blind: bench.inputs.stateAge = .milliseconds(300)
        case .clockJump: bench.run(1, elapsed: 60)
        case .otherCommander: bench.inputs.interlocks = .otherCommander
        case .nobodyListens: bench.inputs.interlocks = .nobodyListens
        case .doubledInput: bench.inputs.interlocks = .doubledInput
        case .unusableInput: bench.inputs.interlocks = .unusableInput
        }
    }

    private func release(_ bench: inout MachineBench, _ reason: HoldReason) {
        bench.inputs.link = .reachable
        bench.inputs.stateAge = .milliseconds(2)
        bench.inputs.interlocks = []
        // The time to observe anew runs from here.
        if reason.isEndedByChunk || reason == .clockJump { bench.machine.clock.followed() }
    }

    @Test func eachReasonHasItsOwnTime() throws {
        let limits: [(LinkState, Interlocks, Duration?, ticks: Int, fault: Fault)] = [
            (.reachable, [], .zero, 50, .starved), (.silent, [], .zero, 500, .linkLost),
            (.noWorkers, [], .zero, 300, .workersLost), (.reachable, [], .milliseconds(300), 50, .blind),
            (.reachable, .blind, .zero, 50, .blind),
        ]
        for (link, interlocks, age, ticks, fault) in limits {
            var bench = MachineBench()
            try bench.enter(.following)
            bench.run(until: .holding)
            bench.machine.clock.followed()
            bench.inputs.link = link
            bench.inputs.interlocks = interlocks
            bench.inputs.stateAge = age
            bench.run(ticks)
            #expect(bench.phase == .holding && bench.status.fault == nil, "\(fault)")
            bench.run(MachineBench.stopTicks + 2)
            #expect(bench.status.fault == fault && bench.phase == .leaving)
            #expect(bench.status.episodeEnd == .failed)
        }
    }

    /// A link that is gone for most of its time costs the policy nothing of its own.
    @Test func aLinkThatComesBackLeavesTheWholeTimeForAChunk() throws {
        var bench = MachineBench()
        try bench.enter(.following)
        bench.run(until: .holding)
        bench.run(30)
        bench.inputs.link = .silent
        bench.run(400)
        bench.inputs.link = .reachable
        bench.run(45)
        #expect(bench.phase == .holding)
        #expect(try bench.chunk(0.1, id: 4)?.result == .applied(staleRows: 0))
        bench.run(5)
        #expect(bench.phase == .following)
    }

    @Test func interlocksHoldAsLongAsTheyLast() throws {
        for interlock in [Interlocks.otherCommander, .nobodyListens, .doubledInput, .unusableInput] {
            for phase in [SessionPhase.approaching, .homing, .waiting, .following] {
                var bench = MachineBench.fit(for: phase)
                try bench.enter(phase)
                bench.inputs.interlocks = interlock
                bench.run(MachineBench.stopTicks + 1)
                let pose = bench.command
                let isQuiet = interlock == .otherCommander || interlock == .nobodyListens
                for _ in 0..<1000 {
                    bench.run()
                    #expect(bench.phase == .holding && bench.command == pose)
                    #expect(bench.isPublishing == !isQuiet, "\(interlock.rawValue)")
                }
                // Meanwhile somebody else moved the arm.
                if isQuiet { bench.inputs.measured[0] += 0.2 }
                bench.inputs.interlocks = []
                bench.run()
                #expect(bench.isPublishing)
                if isQuiet { #expect(abs(bench.command[0] - (pose[0] + 0.2)) < 0.01, "from where it is") }
                switch phase {
                case .approaching, .homing: bench.run(until: .standing)
                case .waiting: #expect(bench.phase == .waiting)
                default: #expect(bench.phase == .holding && bench.status.hold == .starved)
                }
                #expect(bench.status.fault == nil)
            }
        }
    }

    @Test func aSupersededAgentSaysNothingMore() throws {
        for phase in SessionPhase.allCases where phase != .leaving && phase != .ended {
            var bench = MachineBench.fit(for: phase)
            try bench.enter(phase)
            bench.inputs.interlocks = .superseded
            bench.run()
            #expect(!bench.isPublishing && bench.phase == .leaving && bench.status.fault == .superseded, "\(phase)")
        }
    }

    @Test func anArmThatDoesNotFollowIsHeldWhereItIs() throws {
        for phase in [SessionPhase.homing, .following] {
            var bench = MachineBench(at: [-0.4, 0.4, 40])
            try bench.enter(phase)
            bench.isObedient = false
            let stuck = bench.inputs.measured
            if phase == .following {
                var id: UInt64 = 10
                while bench.status.fault == nil, bench.tick < 3000 {
                    _ = try bench.chunk(0.9, id: id)
                    id += 1
                    bench.run(150)
                }
            } else {
                bench.run(400)
            }
            guard case .notFollowing(_, let distance)? = bench.status.fault else {
                Issue.record("\(phase): \(String(describing: bench.status.fault))")
                continue
            }
            #expect(distance > 0.35 && distance < 1)
            bench.run(until: .leaving)
            for joint in 0..<2 {
                #expect(abs(bench.command[joint] - stuck[joint]) < 0.061, "it turned back to the arm")
            }
        }
    }

    /// An arm that was pushed away while it stood is held where it is: nothing leaps when it comes free.
    @Test(arguments: [SessionPhase.standing, .waiting, .paused, .stopped])
    func standingArmsThatWerePushedAreHeldThere(phase: SessionPhase) throws {
        var bench = MachineBench()
        try bench.enter(phase)
        bench.isObedient = false
        bench.inputs.measured[0] -= 0.6
        bench.run(200)
        #expect(bench.phase == phase && bench.status.fault == nil && bench.status.yields >= 1)
        #expect(abs(bench.command[0] - bench.inputs.measured[0]) < 0.01)
    }

    @Test func torqueBeyondTheLimitIsAFault() throws {
        var configuration = MachineBench.configuration()
        configuration.limits.torque = [20, 20]
        var bench = MachineBench(configuration)
        try bench.enter(.following)
        bench.inputs.hasTorque = true
        bench.inputs.torque = [0, -25]
        bench.run(39)
        #expect(bench.status.fault == nil, "a peak is no fault")
        bench.run(5)
        #expect(bench.status.fault == .overTorque(dimension: 1, torque: 25))
    }

    @Test func aTargetThatIsNoNumberStopsTheRobotGently() throws {
        var bench = MachineBench()
        try bench.enter(.following)
        let values: [Float] = (0..<48).map { $0 % 3 == 1 && $0 > 6 ? .nan : bench.command[$0 % 3] }
        let chunk = try #require(
            ActionChunk(names: MachineBench.names, rows: 16, values: values, period: .milliseconds(100))
        )
        bench.request(.merge(ChunkArrival(id: 8, chunk: chunk, capturedTick: bench.tick)))
        for _ in 0..<60 {
            bench.run()
            #expect(bench.command.allSatisfy { $0.isFinite })
        }
        #expect(bench.status.fault == .notFinite(dimension: 1) && bench.phase == .leaving)
    }

    @Test func aClockJumpDropsThePlan() throws {
        var bench = MachineBench()
        try bench.enter(.following)
        let before = bench.command
        let version = bench.machine.planVersion
        bench.run(1, elapsed: 60)
        #expect(bench.command == before, "no leap to where the plan would be")
        #expect(bench.status.counters.clockJumps == 1 && bench.machine.planVersion > version)
        #expect(bench.status.runwayTicks <= 0)
        bench.run(3)
        #expect(try bench.chunk(0.1, id: 3)?.result == .applied(staleRows: 0))
        // Homing does not make up for lost time either.
        bench = MachineBench()
        try bench.enter(.homing)
        let pose = bench.command
        bench.run(1, elapsed: 500)
        #expect(bench.command == pose)
        bench.run(until: .standing)
    }

    @Test func homingWithoutJointStateIsHeldAndThenAFault() throws {
        var bench = MachineBench()
        try bench.enter(.homing)
        bench.inputs.stateAge = .milliseconds(400)
        bench.run(MachineBench.stopTicks)
        let pose = bench.command
        bench.inputs.stateAge = .milliseconds(2)
        bench.run(20)
        #expect(bench.command != pose, "it goes on when the robot speaks again")
        bench.inputs.stateAge = nil
        bench.run(100)
        #expect(bench.status.fault == .blind && bench.phase == .leaving)
    }

    @Test func approvalWaitsForOneChunk() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        bench.request(.askedApproval)
        bench.run(1000)
        #expect(bench.phase == .paused && bench.status.fault == nil)
        bench.order(.resume)
        bench.run()
        #expect(bench.phase == .paused, "only a look at the chunk lets it go")
        bench.request(.approved)
        #expect(try bench.chunk(0.2, ago: 900, isSync: true)?.result == .applied(staleRows: 0))
        bench.run(20)
        #expect(bench.phase == .following)
    }

    @Test func aFrozenArmStaysAndTheOtherMoves() throws {
        var configuration = MachineBench.configuration()
        configuration.frozen = [1]
        var bench = MachineBench(configuration)
        try bench.enter(.waiting)
        _ = try bench.chunk(0.3)
        let before = bench.command
        bench.run(120)
        #expect(bench.command[1] == before[1] && abs(bench.command[0] - before[0]) > 0.1)
    }

    @Test func agesAreThoseOfTheObservation() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        _ = try bench.chunk(0.1, ago: 9)
        bench.run(10)
        let counters = bench.status.counters
        #expect(counters.agedTicks == 10)
        #expect(counters.ageSum == (10..<20).reduce(0, +))
    }

    /// A robot that stood while its chunk was computed executes it from row 0 on, not from the row of the clock.
    @Test func aStandingRobotsChunkBeginsAtItsArrival() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        bench.run(100)
        #expect(try bench.chunk(0.3, ago: 50)?.result == .applied(staleRows: 0))
        bench.run(until: .holding)
        bench.run(10)
        #expect(try bench.chunk(0.3, ago: 5, id: 2)?.result == .applied(staleRows: 0))
        // Sixteen rows, the last five ticks of which take ten: it ends at rest.
        #expect(bench.status.runwayTicks == 165)
        // Starved only after the capture: the robot moved on meanwhile, the clock counts.
        bench.run(until: .holding)
        #expect(try bench.chunk(0.1, ago: 40, id: 3)?.result == .applied(staleRows: 4))
    }

    /// The order of observations counts, not where their chunks were anchored.
    @Test func aChunkObservedBeforeTheFirstMergeIsStillInOrder() throws {
        var bench = MachineBench()
        try bench.enter(.waiting)
        bench.run(100)
        _ = try bench.chunk(0.1, ago: 50)
        bench.run(6)
        #expect(try bench.chunk(0.1, ago: 8, id: 2)?.result == .applied(staleRows: 0))
        #expect(try bench.chunk(0.1, ago: 8, id: 3)?.result == .outOfOrder)
    }

    @Test func releasedArmsAreCommandedAgainFromWhereTheyAre() throws {
        var bench = MachineBench()
        try bench.enter(.standing)
        bench.request(.release)
        bench.run(10)
        #expect(bench.phase == .silent && !bench.isPublishing)
        bench.inputs.measured = [-0.7, 0.3, 0]
        bench.request(.home(id: 2, opensClaws: false))
        bench.run()
        #expect(abs(bench.command[0] + 0.7) < 0.01 && bench.isPublishing)
    }
}
