import GrootCore
import Testing

@testable import RobotAgent

/// Planner, session machine, queue and gate together at any rate of rows and any control rate: a policy that says where the
/// arm is to be at each instant has it there, and no tick is left without an action.
struct RowRateTests {
    private static let names = ["arm", "claw"]
    private static let speed: Float = 0.1

    private func machine(rate: ControlRate, period: Duration, rows: Int) -> SessionMachine {
        let free: [Float] = [.infinity, .infinity]
        return SessionMachine(
            .init(
                queue: .init(
                    dimensions: 2,
                    claws: 1..<2,
                    maximumRows: rows,
                    rate: rate,
                    period: period,
                    aggregate: .latestOnly,
                    blendTicks: 1
                ),
                limits: .init(
                    minimum: free.map { -$0 },
                    maximum: free,
                    velocity: free,
                    firstActionTolerance: .infinity,
                    arms: 0..<1,
                    hold: .seconds(2)
                ),
                home: [0],
                homingVelocity: 1
            )
        )
    }

    @Test(arguments: [1, 2, 3, 7, 10, 15, 24, 30, 50, 64, 99, 100], [10, 30, 50, 100, 125, 333, 500, 1000])
    func theArmIsWhereThePolicyWantsIt(rowsPerSecond: Int, hertz: Int) throws {
        let rate = ControlRate(hertz: hertz)
        let period = Duration.nanoseconds(Int64((1e9 / Double(rowsPerSecond)).rounded()))
        // As long as a fast policy needs to bridge its latency, and as few as a slow one may have.
        let rows = max(3, rowsPerSecond * 16 / 10)
        var machine = machine(rate: rate, period: period, rows: rows)
        var planner = RequestPlanner(
            mode: .async,
            threshold: .fixed(0.5),
            chunk: min(period * rows, SafetyGate.Limits.defaultStaleAction)
        )
        var inputs = ControlInputs(dimensions: 2, arms: 0..<1)
        inputs.stateAge = .milliseconds(2)
        inputs.isMeasured = true
        var tuning = EpisodeTuning()
        tuning.aggregate = .latestOnly
        _ = machine.requested(.beginEpisode(tuning), at: 0, inputs)
        let latency = Int64(rate.ticks(covering: .milliseconds(150)))
        var asked: Int64?
        var id: UInt64 = 0
        var steady: Int64?
        let end = Int64(rate.ticks(covering: .seconds(12)))
        var tick: Int64 = 1
        while tick < end {
            let now = MonotonicInstant(nanoseconds: rate.duration(of: Int(tick)).nanoseconds)
            let status = machine.status(at: tick - 1)
            if asked == nil,
                case .observe = planner.decide(runway: status.phase == .waiting ? .zero : status.runway, at: now)
            {
                asked = tick
            }
            if let captured = asked, tick - captured >= latency {
                asked = nil
                id += 1
                let values = (1...rows).flatMap { row -> [Float] in
                    let due = Double(captured) * rate.tick.seconds + Double(row) * period.seconds
                    return [Self.speed * Float(due), Float(id)]
                }
                let chunk = try #require(ActionChunk(names: Self.names, rows: rows, values: values, period: period))
                let arrival = ChunkArrival(id: id, chunk: chunk, capturedTick: captured)
                let report = machine.requested(.merge(arrival), at: tick, inputs)
                guard case .applied? = report?.result else {
                    Issue.record("chunk \(id): \(report.debugDescription)")
                    return
                }
                planner.succeeded(at: now)
                // The first one begins late, since the arms stood; behind the third one's blend nothing of that is left.
                if id == 3 { steady = tick + Int64(rate.ticks(covering: EpisodeTuning.defaultBlend)) }
            }
            if machine.ticked(tick, elapsed: 1, inputs) { inputs.measured = machine.command }
            if let steady, tick > steady {
                let wanted = Self.speed * Float(Double(tick) * rate.tick.seconds)
                #expect(abs(machine.command[0] - wanted) < 2e-3, "tick \(tick)")
            }
            tick += 1
        }
        let counters = machine.status(at: tick).counters
        #expect(counters.starvedTicks == 0 && counters.staleActionTicks == 0, "\(counters)")
        #expect(counters.chunks >= 4 && machine.status(at: tick).fault == nil)
    }
}
