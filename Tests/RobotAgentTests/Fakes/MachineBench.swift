import GrootCore
import Testing

@testable import RobotAgent

/// A session machine with a robot that does what it is told: two arm joints, one claw, 10 ms ticks.
struct MachineBench {
    static let names = ["left", "right", "claw"]
    static let home: [Float] = [0.5, -0.5]
    /// On the way home of a session that has them.
    static let wayPoints: [[Float]] = [[-0.3, 0.2], [0.1, 0.2]]
    static let stopTicks = 30

    var machine: SessionMachine
    var inputs: ControlInputs
    var tick: Int64 = 0
    /// The measured pose follows every command.
    var isObedient = true
    var isPublishing = false
    private var interrupts: UInt32 = 0

    static func configuration() -> SessionMachine.Configuration {
        var limits = SafetyGate.Limits(
            minimum: [-1, -1, 0],
            maximum: [1, 1, 100],
            velocity: [2, 2, .infinity],
            acceleration: [20, 20, .infinity],
            firstActionTolerance: 0.3,
            arms: 0..<2,
            hold: .milliseconds(500),
            linkHold: .seconds(5),
            workersHold: .seconds(3)
        )
        limits.followingTolerance = 0.35
        return SessionMachine.Configuration(
            queue: .init(dimensions: 3, claws: 2..<3, maximumRows: 16, aggregate: .latestOnly, blendTicks: 1),
            limits: limits,
            home: home,
            homingVelocity: 0.4
        )
    }

    init(
        _ configuration: SessionMachine.Configuration = configuration(),
        at pose: [Float] = [0, 0, 40]
    ) {
        machine = SessionMachine(configuration)
        inputs = ControlInputs(dimensions: 3, arms: 0..<2)
        inputs.stateAge = .milliseconds(2)
        inputs.isMeasured = true
        inputs.measured = pose
    }

    var phase: SessionPhase { machine.phase }
    var status: SessionStatus { machine.status(at: tick) }
    var command: [Float] { machine.command }

    /// Runs ticks; `elapsed` belongs to each of them.
    mutating func run(_ ticks: Int = 1, elapsed: Int = 1) {
        for _ in 0..<ticks {
            tick += Int64(elapsed)
            isPublishing = machine.ticked(tick, elapsed: elapsed, inputs)
            if isPublishing, isObedient { inputs.measured = machine.command }
        }
    }

    /// Runs until the phase is reached; fails after a thousand ticks.
    mutating func run(until phase: SessionPhase) {
        var left = 1000
        while self.phase != phase, left > 0 {
            run()
            left -= 1
        }
        #expect(self.phase == phase)
    }

    mutating func order(_ orders: Order...) {
        var all: Orders = []
        for order in orders {
            all.insert(Orders(order))
            if order == .interrupt { interrupts += 1 }
        }
        machine.ordered(all, interrupts: interrupts, at: tick + 1, inputs)
    }

    @discardableResult
    mutating func request(_ request: ControlRequest) -> MergeReport? {
        machine.requested(request, at: tick + 1, inputs)
    }

    /// A chunk of sixteen rows on a line from where the arms are measured by `offset` rad, observed `ago` ticks ago.
    mutating func chunk(
        _ offset: Float,
        claw: Float = 40,
        ago: Int64 = 0,
        id: UInt64 = 1,
        isSync: Bool = false
    ) throws -> MergeReport? {
        var values: [Float] = []
        for row in 0..<16 {
            let shift = offset * Float(row + 1) / 16
            values += [inputs.measured[0] + shift, inputs.measured[1] - shift, claw]
        }
        let chunk = try #require(
            ActionChunk(names: Self.names, rows: 16, values: values, period: .milliseconds(100))
        )
        return request(
            .merge(
                ChunkArrival(id: id, chunk: chunk, capturedTick: isSync ? nil : tick - ago, observedTick: tick - ago)
            )
        )
    }

    /// A bench of a profile with way-points for the phase that only they lead to, else of one without.
    static func fit(for phase: SessionPhase) -> MachineBench {
        var configuration = configuration()
        if phase == .approaching { configuration.wayPoints = wayPoints }
        return MachineBench(configuration)
    }

    /// Brings a fresh machine into a phase, moving where that phase moves.
    mutating func enter(_ phase: SessionPhase) throws {
        switch phase {
        case .silent: break
        case .approaching:
            request(.home(id: 1, opensClaws: false))
            run(60)
        case .homing:
            request(.home(id: 1, opensClaws: false))
            run(60)
        case .standing:
            request(.home(id: 1, opensClaws: false))
            run(until: .standing)
        case .waiting:
            try enter(.standing)
            request(.beginEpisode())
            run()
        case .following:
            try enter(.waiting)
            _ = try chunk(0.3)
            run(60)
        case .holding:
            try enter(.following)
            run(until: .holding)
        case .paused:
            try enter(.following)
            order(.pause)
            run(until: .paused)
        case .stopping:
            try enter(.following)
            order(.stop)
            run(5)
        case .stopped:
            try enter(.following)
            order(.stop)
            run(until: .stopped)
        case .leaving:
            try enter(.standing)
            order(.terminate)
            run()
        case .ended:
            try enter(.leaving)
            request(.handedBack)
            run()
        }
        #expect(self.phase == phase)
    }
}
