import GrootCore
import Testing

@testable import RobotAgent

/// Planner, queue and control core together against a model that is a list of chunks: no action is ever executed
/// twice, out of order, or after its validity, whatever the network and the scheduler do.
///
/// A chunk's arm joint counts the ticks since the chunk's first instant and its claw is the chunk's number, so that
/// every executed command says which chunk it came from and which instant it was meant for.
struct ControlLoopPropertyTests {
    private struct Arrival {
        var due: Int64
        var captured: Int64
        var id: Int
        var rows: Int
    }

    /// What the model knows of a merged chunk.
    private struct Merged {
        var anchor: Int64
        var captured: Int64
        var id: Int
        var end: Int64
    }

    private static let names = ["arm", "claw"]

    private func chunk(id: Int, rows: Int) throws -> ActionChunk {
        let values = (0..<rows).flatMap { [Float(10 * ($0 + 1)), Float(id)] }
        return try #require(
            ActionChunk(names: Self.names, rows: rows, values: values, period: .milliseconds(100))
        )
    }

    private static func machine() -> SessionMachine {
        let free: [Float] = [.infinity, .infinity]
        return SessionMachine(
            .init(
                queue: .init(dimensions: 2, claws: 1..<2, maximumRows: 16, aggregate: .latestOnly, blendTicks: 1),
                limits: .init(
                    minimum: free.map { -$0 },
                    maximum: free,
                    velocity: free,
                    firstActionTolerance: .infinity,
                    arms: 0..<1,
                    hold: .seconds(100),
                    stop: .milliseconds(10)
                ),
                home: [0],
                homingVelocity: 1
            )
        )
    }

    private func inputs(_ pose: [Float]) -> ControlInputs {
        var inputs = ControlInputs(dimensions: 2, arms: 0..<1)
        inputs.stateAge = .milliseconds(2)
        inputs.isMeasured = true
        inputs.measured = pose
        return inputs
    }

    private var sharp: EpisodeTuning {
        var tuning = EpisodeTuning()
        tuning.aggregate = .latestOnly
        tuning.blend = .zero
        return tuning
    }

    @Test(arguments: UInt64(1)...60)
    func everyActionHasItsInstantAndOnlyThat(seed: UInt64) throws {
        var random = SplitMix(state: seed &* 104_729)
        var machine = Self.machine()
        var inputs = inputs([0, 0])
        var planner = RequestPlanner(
            mode: .async,
            threshold: Bool.random(using: &random) ? .auto : .fixed(Double.random(in: 0.2...1, using: &random)),
            chunk: .milliseconds(1600)
        )
        let slowest = Int64.random(in: 15...120, using: &random)
        _ = machine.requested(.beginEpisode(sharp), at: 0, inputs)
        var arrivals: [Arrival] = []
        var merged: [Merged] = []
        // Last tick for which anything is planned.
        var planEnd = Int64.min
        var inFlight: (id: Int, deadline: Int64)?
        var nextID = 0
        var lastCapture = Int64(-1)
        var tick: Int64 = 1
        var previous: Int64 = 0
        var executed: [Int64] = []
        var lastChunk = 0
        var isPaused = false
        while tick < 4000 {
            let now = MonotonicInstant(nanoseconds: tick * 10_000_000)
            let status = machine.status(at: previous)
            // The uplink: one request in flight, given up at its deadline. A late answer still arrives, some arrive twice.
            if let waiting = inFlight, tick > waiting.deadline {
                planner.failed(at: now, jitter: 0.5)
                inFlight = nil
            }
            let runway = status.phase == .waiting ? Duration.zero : status.runway
            if inFlight == nil, !isPaused, case .observe = planner.decide(runway: runway, at: now) {
                let captured = tick - Int64.random(in: 0...4, using: &random)
                if captured > lastCapture {
                    lastCapture = captured
                    nextID += 1
                    inFlight = (nextID, tick + 100)
                    let latency = Int64.random(in: 11...slowest, using: &random)
                    let rows = Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 2...16, using: &random) : 16
                    let isLost = Int.random(in: 0..<10, using: &random) == 0
                    let copies = isLost ? 0 : Int.random(in: 0..<8, using: &random) == 0 ? 2 : 1
                    for copy in 0..<copies {
                        let due = captured + latency + Int64(copy) * Int64.random(in: 0...60, using: &random)
                        arrivals.append(Arrival(due: due, captured: captured, id: nextID, rows: rows))
                    }
                }
            }
            arrivals.sort { $0.due < $1.due }
            while let arrival = arrivals.first, arrival.due <= tick {
                arrivals.removeFirst()
                let isStanding =
                    machine.status(at: tick).phase == .waiting || planEnd < arrival.captured
                let anchor = isStanding ? tick - 1 : arrival.captured
                let report = machine.requested(
                    .merge(
                        ChunkArrival(
                            id: UInt64(arrival.id),
                            chunk: try chunk(id: arrival.id, rows: arrival.rows),
                            capturedTick: arrival.captured
                        )
                    ),
                    at: tick,
                    inputs
                )
                if case .applied? = report?.result {
                    #expect(merged.allSatisfy { $0.captured < arrival.captured }, "out of order, seed \(seed)")
                    let end = anchor + 10 * Int64(arrival.rows)
                    planEnd = end
                    merged.append(Merged(anchor: anchor, captured: arrival.captured, id: arrival.id, end: end))
                }
                if let waiting = inFlight, waiting.id == arrival.id {
                    if case .applied? = report?.result {
                        planner.succeeded(at: now)
                    } else {
                        planner.failed(at: now, jitter: 0.5)
                    }
                    inFlight = nil
                }
            }
            if Int.random(in: 0..<(isPaused ? 60 : 700), using: &random) == 0 {
                machine.ordered(Orders(isPaused ? .resume : .pause), interrupts: 0, at: tick, inputs)
                isPaused.toggle()
                // Neither side of a pause uses what was planned before it.
                merged.removeAll()
            }
            let before = machine.command
            let counters = machine.status(at: tick).counters
            let isPublishing = machine.ticked(tick, elapsed: Int(tick - previous), inputs)
            inputs.measured = machine.command
            let after = machine.status(at: tick).counters
            let hasExecuted = after.agedTicks > counters.agedTicks
            let jumped = tick - previous > 20
            if jumped {
                merged.removeAll()
                planEnd = tick
                #expect(!hasExecuted, "a clock jump executes nothing, seed \(seed)")
            }
            if hasExecuted {
                #expect(isPublishing)
                let chunk = try #require(merged.last, "tick \(tick), seed \(seed): nothing is valid")
                let offset = tick - chunk.anchor
                #expect(
                    (1...chunk.end - chunk.anchor).contains(offset),
                    "tick \(tick), seed \(seed): not valid any more"
                )
                // The curve leaves the robot's own position behind within two rows.
                if offset >= 20 {
                    #expect(abs(machine.command[0] - Float(offset)) < 1e-3, "tick \(tick), seed \(seed)")
                }
                if offset >= 11 { #expect(machine.command[1] == Float(chunk.id), "tick \(tick), seed \(seed)") }
                #expect(Int(machine.command[1]) >= lastChunk, "chunks follow each other, tick \(tick), seed \(seed)")
                lastChunk = Int(machine.command[1])
                #expect(executed.last.map { $0 < tick } ?? true)
                executed.append(tick)
            } else if !isPaused, !jumped {
                #expect(machine.command == before, "holding never improvises, tick \(tick), seed \(seed)")
                #expect(
                    (merged.last?.end ?? .min) < tick,
                    "a valid action was not executed, tick \(tick), seed \(seed)"
                )
            }
            previous = tick
            switch Int.random(in: 0..<400, using: &random) {
            case 0: tick += Int64.random(in: 22...300, using: &random)
            case 1...8: tick += Int64.random(in: 2...6, using: &random)
            default: tick += 1
            }
        }
        #expect(executed.count > 500, "seed \(seed) tested little: \(executed.count)")
        #expect(Set(executed).count == executed.count)
    }

    /// Rows 0, 0.1, 0.3, 0.2 behind -0.1 through core, queue and gate: the arm on its curve, the claw by the rule that every
    /// original script shares.
    @Test func theGoldenVectorReachesTheRobot() throws {
        var machine = Self.machine()
        let inputs = inputs([-0.1, 80])
        _ = machine.requested(.beginEpisode(sharp), at: 0, inputs)
        let chunk = try #require(
            ActionChunk(
                names: Self.names,
                rows: 4,
                values: [0, 0, 0.1, 50, 0.3, 50, 0.2, 0],
                period: .milliseconds(100)
            )
        )
        let report = machine.requested(
            .merge(ChunkArrival(id: 1, chunk: chunk, capturedTick: nil)),
            at: 1,
            inputs
        )
        #expect(report?.result == .applied(staleRows: 0))
        var samples: [[Float]] = []
        for tick in Int64(1)...40 {
            #expect(machine.ticked(tick, elapsed: 1, inputs) == true)
            samples.append(machine.command)
        }
        let arms: [(Int, Float)] = [
            (0, -0.09), (4, -0.05), (9, 0), (14, 2.5 / 48), (19, 0.7 / 6), (29, 0.25), (39, 0.2),
        ]
        for (index, value) in arms { #expect(abs(samples[index][0] - value) < 1e-6, "sample \(index)") }
        let first = [Float](repeating: 80, count: 10) + [Float](repeating: 0, count: 10)
        #expect(samples.map { $0[1] } == first + Array(repeating: 50, count: 19) + [0])
        #expect(machine.status(at: 40).counters.starvedTicks == 0)
        _ = machine.ticked(41, elapsed: 1, inputs)
        #expect(machine.status(at: 41).counters.starvedTicks == 1, "the last row's instant is the end")
    }
}
