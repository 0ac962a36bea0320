import GrootCore
import Testing

@testable import RobotAgent

struct ControlCoreTests {
    private let names = (0..<16).map { "a\($0)" }
    private let fresh = Duration.milliseconds(2)

    /// New chunks take over at once.
    private var sharp: EpisodeTuning {
        var tuning = EpisodeTuning()
        tuning.aggregate = .latestOnly
        tuning.blendTicks = 1
        return tuning
    }

    private func core(_ options: ControlCore.Options = .init()) throws -> ControlCore {
        ControlCore(
            queue: .init(dimensions: 16, claws: 14..<16, maximumRows: 16, aggregate: .latestOnly, blendTicks: 1),
            limits: SafetyGate.Limits(try ProfileCatalog.load("simulator"), dimensions: 16),
            options: options
        )
    }

    private func home() throws -> [Float] { try ProfileCatalog.load("simulator").arm.homeRad + [0, 0] }

    private func chunk(_ offset: Float, claw: Float = 0) throws -> ActionChunk {
        let home = try home()
        var values: [Float] = []
        for row in 0..<16 {
            let shift = offset * Float(row + 1) / 16
            for index in 0..<16 { values.append(index < 14 ? home[index] + shift : claw) }
        }
        return try #require(ActionChunk(names: names, rows: 16, values: values, period: .milliseconds(100)))
    }

    private func arrival(_ id: UInt64, _ chunk: ActionChunk, at tick: Int64) throws -> ControlCommand {
        .merge(ChunkArrival(id: id, chunk: chunk, capturedTick: tick, measured: try home()))
    }

    @Test func aFrozenArmStaysAndTheOtherMoves() throws {
        var options = ControlCore.Options()
        options.frozen = AgentConfiguration.Arm.left.dimensions
        var core = try core(options)
        let home = try home()
        _ = core.received(.beginEpisode(measured: home), at: 0)
        let report = core.received(try arrival(1, try chunk(0.2, claw: 80), at: 0), at: 1)
        #expect(report?.result == .applied(staleRows: 0))
        for tick in Int64(1)..<160 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        #expect(Array(core.command[0..<7]) == Array(home[0..<7]))
        #expect(core.command[14] == 0 && core.command[15] == 80)
        #expect(core.command[7] > home[7] + 0.1)
    }

    @Test func aPauseForgetsThePlanAndNeedsANewChunk() throws {
        var core = try core()
        _ = core.received(.beginEpisode(measured: try home()), at: 0)
        _ = core.received(try arrival(1, try chunk(0.2), at: 0), at: 1)
        for tick in Int64(1)..<50 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        _ = core.received(.pause, at: 50)
        let ticks = core.status(at: 50).counters.ticks
        for tick in Int64(50)..<500 { #expect(core.ticked(tick, elapsed: 1, stateAge: fresh) == true) }
        #expect(core.status(at: 500).phase == .paused)
        #expect(core.status(at: 500).counters.ticks == ticks, "a pause is no motion and no starvation")
        #expect(core.received(try arrival(2, try chunk(0.2), at: 480), at: 500)?.result == nil)
        _ = core.received(.resume, at: 500)
        #expect(core.status(at: 500).phase == .waitingForFirstChunk)
        #expect(core.received(try arrival(3, try chunk(0.2), at: 499), at: 501)?.result == .applied(staleRows: 0))
        #expect(core.status(at: 501).phase == .following)
    }

    @Test func aClockJumpDropsThePlan() throws {
        var core = try core()
        _ = core.received(.beginEpisode(measured: try home()), at: 0)
        _ = core.received(try arrival(1, try chunk(0.2), at: 0), at: 1)
        for tick in Int64(1)..<20 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        let before = core.command
        let version = core.planVersion
        #expect(core.ticked(80, elapsed: 61, stateAge: fresh) == true)
        #expect(zip(core.command, before).allSatisfy { abs($0 - $1) < 0.05 }, "no leap to where the plan would be")
        #expect(core.status(at: 80).counters.clockJumps == 1)
        #expect(core.planVersion > version)
        #expect(core.queue.runwayTicks <= 0)
        #expect(core.received(try arrival(2, try chunk(0.1), at: 79), at: 81)?.result == .applied(staleRows: 0))
    }

    @Test func homingIsGivenUpWithoutJointState() throws {
        var core = try core()
        let home = try home()
        var start = home
        start[0] += 1
        _ = core.received(.move(id: 7, goal: home, velocity: 0.5, measured: start), at: 0)
        for tick in Int64(0)..<50 { #expect(core.ticked(tick, elapsed: 1, stateAge: fresh) == true) }
        let reached = core.command
        for tick in Int64(50)..<60 { #expect(core.ticked(tick, elapsed: 1, stateAge: .milliseconds(400)) == true) }
        #expect(core.command == reached)
        #expect(core.status(at: 60).abandonedMove == 7)
        #expect(core.status(at: 60).completedMove == 0)
    }

    @Test func agesAreThoseOfTheObservation() throws {
        var core = try core()
        _ = core.received(.beginEpisode(measured: try home()), at: 0)
        // Captured ten ticks before the merge; each executed tick is one tick older.
        _ = core.received(try arrival(1, try chunk(0.1), at: 90), at: 100)
        for tick in Int64(100)..<110 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        let counters = core.status(at: 110).counters
        #expect(counters.agedTicks == 10)
        #expect(counters.ageSum == (10..<20).reduce(0, +))
    }

    @Test func aStopDeceleratesAndFallsSilent() throws {
        var core = try core()
        _ = core.received(.beginEpisode(measured: try home()), at: 0)
        _ = core.received(try arrival(1, try chunk(0.8), at: 0), at: 1)
        for tick in Int64(1)..<80 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        _ = core.received(.stop, at: 80)
        var previous = core.command[0]
        var step: Float = 1
        var tick: Int64 = 80
        while core.ticked(tick, elapsed: 1, stateAge: fresh) {
            let moved = core.command[0] - previous
            #expect(moved >= 0 && moved <= step + 1e-6)
            (previous, step) = (core.command[0], moved)
            tick += 1
        }
        #expect((100...115).contains(tick), "0.3 s")
        #expect(core.status(at: tick).phase == .silent)
    }

    /// A robot that stood while its chunk was computed executes it from row 0 on, not from the row of the clock.
    @Test func aStandingRobotsChunkBeginsAtItsArrival() throws {
        var core = try core()
        let home = try home()
        _ = core.received(.beginEpisode(measured: home, tuning: sharp), at: 0)
        // Captured 50 ticks ago: half of the rows would be in the past.
        let first = try chunk(0.8)
        #expect(core.received(try arrival(1, first, at: 50), at: 100)?.result == .applied(staleRows: 0))
        var previous = home[0]
        for tick in Int64(100)..<260 {
            _ = core.ticked(tick, elapsed: 1, stateAge: fresh)
            #expect(abs(core.command[0] - previous) < 0.0051, "no leap at tick \(tick)")
            previous = core.command[0]
            if tick == 109 { #expect(abs(core.command[0] - first[0, 0]) < 1e-5, "row 0 is due one period later") }
        }
        #expect(core.queue.runwayTicks == 0)
        // Starved before the next observation is captured: the same.
        for tick in Int64(260)..<300 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        #expect(core.received(try arrival(2, try chunk(0.8), at: 280), at: 300)?.result == .applied(staleRows: 0))
        #expect(core.queue.runwayTicks == 160)
        // Starved only after the capture: the robot moved on meanwhile, the clock counts.
        for tick in Int64(300)..<500 { _ = core.ticked(tick, elapsed: 1, stateAge: fresh) }
        #expect(core.received(try arrival(3, try chunk(0.8), at: 440), at: 500)?.result == .applied(staleRows: 5))
        #expect(core.queue.runwayTicks == 101)
    }

    /// The order of observations counts, not where their chunks were anchored.
    @Test func aChunkObservedBeforeTheFirstMergeIsStillInOrder() throws {
        var core = try core()
        _ = core.received(.beginEpisode(measured: try home()), at: 0)
        _ = core.received(try arrival(1, try chunk(0.1), at: 50), at: 100)
        _ = core.ticked(100, elapsed: 1, stateAge: fresh)
        #expect(core.received(try arrival(2, try chunk(0.1), at: 95), at: 105)?.result == .applied(staleRows: 0))
        #expect(core.received(try arrival(3, try chunk(0.1), at: 95), at: 106)?.result == .outOfOrder)
    }
}
