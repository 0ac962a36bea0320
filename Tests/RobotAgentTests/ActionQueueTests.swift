import GrootCore
import Testing

@testable import RobotAgent

/// A slow, obvious plan: one dictionary from tick to target.
private struct ReferencePlan {
    var targets: [Int64: [Float]] = [:]
    var executed: [Int64: [Float]] = [:]
    var next: Int64 = 0
    var command: [Float]
    let configuration: ActionQueue.Configuration

    /// The cubic B-spline's basis function around 0.
    private static func basis(_ distance: Float) -> Float {
        let x = abs(distance)
        return x < 1 ? 2 / 3 - x * x + x * x * x / 2 : x < 2 ? (2 - x) * (2 - x) * (2 - x) / 6 : 0
    }

    private static func eased(_ x: Float) -> Float { x <= 0 ? 0 : x >= 1 ? 1 : 3 * x * x - 2 * x * x * x }

    func isStale(_ chunk: ActionChunk, _ t0: Int64) -> Bool { t0 + 10 * Int64(chunk.rows) < next }

    mutating func take(_ tick: Int64) -> Bool {
        for skipped in next..<tick { executed[skipped] = targets[skipped] ?? command }
        defer {
            executed[tick] = command
            next = tick + 1
        }
        guard let target = targets[tick] else { return false }
        command = target
        return true
    }

    mutating func merge(_ chunk: ActionChunk, _ t0: Int64) {
        let old = targets.filter { $0.key >= next }
        let oldEnd = (old.keys.max() ?? next - 1) + 1
        let last = old[oldEnd - 1] ?? command
        let bridge = executed[t0] ?? old[t0] ?? command
        let newEnd = t0 + 10 * Int64(chunk.rows)
        let start = max(next, t0 + 1)
        targets = old.filter { $0.key < start }
        for tick in next..<max(next, start) where targets[tick] == nil { targets[tick] = command }
        for tick in start...newEnd {
            let before = old[tick] ?? last
            var target = before
            for dimension in 0..<configuration.dimensions {
                let column = [bridge[dimension]] + (0..<chunk.rows).map { chunk[$0, dimension] }
                let offset = Int(tick - t0)
                if configuration.claws.contains(dimension) {
                    let source = (offset - 1) * chunk.rows / (10 * chunk.rows - 1)
                    target[dimension] = source == 0 ? before[dimension] : column[source]
                    continue
                }
                let last = column.count - 1
                let points = [2 * column[0] - column[1]] + column + [2 * column[last] - column[last - 1]]
                let new = points.enumerated().reduce(Float(0)) { sum, point in
                    sum + point.element * Self.basis(Float(offset) / 10 - Float(point.offset - 1))
                }
                let blend = Float(configuration.blendTicks)
                let takeOver = Self.eased(1 - Float(tick - start + 1) / blend)
                var kept: Float = 0
                if old[tick] != nil {
                    kept = configuration.aggregate.oldShare * Self.eased(Float(oldEnd - tick) / blend)
                }
                target[dimension] = new + (kept + (1 - kept) * takeOver) * (before[dimension] - new)
            }
            targets[tick] = target
        }
    }
}

struct ActionQueueTests {
    private static let names = ["a", "b", "claw"]

    private func configuration(
        _ aggregate: AggregateFunction = .weightedAverage,
        blendTicks: Int = 20,
        rows: Int = 16
    ) -> ActionQueue.Configuration {
        .init(dimensions: 3, claws: 2..<3, maximumRows: rows, aggregate: aggregate, blendTicks: blendTicks)
    }

    private func chunk(_ rows: [[Float]]) throws -> ActionChunk {
        try #require(
            ActionChunk(names: Self.names, rows: rows.count, values: rows.flatMap { $0 }, period: .milliseconds(100))
        )
    }

    private func randomChunk(rows: Int, from start: [Float], _ random: inout SplitMix) throws -> ActionChunk {
        var row = start
        return try chunk(
            (0..<rows).map { _ in
                for dimension in 0..<2 { row[dimension] += Float.random(in: -0.2...0.2, using: &random) }
                row[2] = Bool.random(using: &random) ? 0 : 80
                return row
            }
        )
    }

    @Test func wayPointsAreReachedAtTheirTicks() throws {
        var queue = ActionQueue(
            configuration: configuration(.latestOnly, blendTicks: 1),
            startingAt: 100,
            pose: [0, 0, 0]
        )
        let result = queue.merge(try chunk([[1, 2, 10], [3, 4, 20]]), capturedAt: 95)
        #expect(result == .applied(staleRows: 0))
        #expect(queue.runwayTicks == 16)
        var seen: [Int64: [Float]] = [:]
        for tick in Int64(100)..<120 where queue.take(tick) { seen[tick] = queue.command }
        // Half a row's bend between a pose at 0 and two rows: (0 + 4 * 1 + 3) / 6.
        #expect(seen[105].map { abs($0[0] - 7 / 6) < 1e-5 && abs($0[1] - 2) < 1e-5 && $0[2] == 0 } == true)
        #expect(seen[115].map { abs($0[0] - 3) < 1e-5 && abs($0[1] - 4) < 1e-5 && $0[2] == 20 } == true)
        #expect(seen.keys.max() == 115)
        #expect(queue.runwayTicks == -4)
        #expect(queue.command == seen[115])
    }

    @Test func nothingIsHandedOutTwice() throws {
        var queue = ActionQueue(configuration: configuration(), startingAt: 0, pose: [0, 0, 0])
        _ = queue.merge(try chunk([[1, 1, 1]]), capturedAt: -1)
        #expect(queue.take(4) == true)
        #expect(queue.take(4) == false)
        #expect(queue.take(3) == false)
        #expect(queue.take(5) == true)
    }

    @Test func oldChunksAreRefused() throws {
        var queue = ActionQueue(configuration: configuration(), startingAt: 0, pose: [0, 0, 0])
        #expect(queue.merge(try chunk([[1, 1, 1]]), capturedAt: -11) == .stale)
        #expect(queue.merge(try chunk([[1, 1, 1], [1, 1, 1]]), capturedAt: -11) == .applied(staleRows: 1))
        #expect(queue.merge(try chunk([[1, 1, 1], [1, 1, 1]]), capturedAt: -11) == .outOfOrder)
        #expect(queue.merge(try chunk([[1, 1, 1], [1, 1, 1]]), capturedAt: -12) == .outOfOrder)
        let narrow = try #require(ActionChunk(names: ["a"], rows: 1, values: [1], period: .milliseconds(100)))
        #expect(queue.merge(narrow, capturedAt: 0) == .malformed)
        let fast = try #require(ActionChunk(names: Self.names, rows: 1, values: [1, 1, 1], period: .milliseconds(33)))
        #expect(queue.merge(fast, capturedAt: 0) == .malformed)
        #expect(queue.merge(try chunk([[1, 1, 1]]), capturedAt: 1_000_000) == .malformed)
    }

    @Test func oldTicksBeyondTheNewChunkAreDropped() throws {
        var queue = ActionQueue(configuration: configuration(), startingAt: 0, pose: [0, 0, 0])
        _ = queue.merge(try chunk(Array(repeating: [1, 1, 0], count: 16)), capturedAt: 0)
        #expect(queue.runwayTicks == 161)
        _ = queue.merge(try chunk(Array(repeating: [1, 1, 0], count: 4)), capturedAt: 1)
        #expect(queue.runwayTicks == 42)
    }

    @Test(arguments: AggregateFunction.allCases)
    func agreesWithTheReference(aggregate: AggregateFunction) throws {
        for seed in UInt64(1)...30 {
            var random = SplitMix(state: seed)
            let settings = configuration(aggregate, blendTicks: Int.random(in: 1...30, using: &random))
            var queue = ActionQueue(configuration: settings, startingAt: 0, pose: [0, 0, 0])
            var reference = ReferencePlan(command: [0, 0, 0], configuration: settings)
            var tick: Int64 = 0
            var lastCapture = Int64.min
            var last: Int64 = -1
            for _ in 0..<600 {
                if Int.random(in: 0..<25, using: &random) == 0 {
                    let rows = Int.random(in: 1...16, using: &random)
                    let captured = tick - Int64.random(in: 0...60, using: &random)
                    let new = try randomChunk(rows: rows, from: queue.command, &random)
                    let result = queue.merge(new, capturedAt: captured)
                    if captured <= lastCapture {
                        #expect(result == .outOfOrder)
                    } else if reference.isStale(new, captured) {
                        #expect(result == .stale)
                    } else {
                        guard case .applied = result else {
                            Issue.record("\(result) at tick \(tick), seed \(seed)")
                            continue
                        }
                        reference.merge(new, captured)
                        lastCapture = captured
                    }
                }
                // Now and then a cycle is missed.
                tick += Int.random(in: 0..<40, using: &random) == 0 ? Int64.random(in: 2...5, using: &random) : 0
                let isPlanned = queue.take(tick)
                let shouldBePlanned = reference.take(tick)
                #expect(isPlanned == shouldBePlanned, "tick \(tick), seed \(seed)")
                for (mine, theirs) in zip(queue.command, reference.command) {
                    #expect(abs(mine - theirs) < 1e-4, "tick \(tick), seed \(seed)")
                }
                #expect(tick > last)
                last = tick
                tick += 1
            }
        }
    }

    @Test(arguments: AggregateFunction.allCases)
    func noJumpAtABorder(aggregate: AggregateFunction) throws {
        let blend = 20
        for seed in UInt64(1)...200 {
            var random = SplitMix(state: seed &* 977)
            var queue = ActionQueue(
                configuration: configuration(aggregate, blendTicks: blend),
                startingAt: 0,
                pose: [0, 0, 0]
            )
            _ = queue.merge(try randomChunk(rows: 16, from: [0, 0, 0], &random), capturedAt: -1)
            let cut = Int64.random(in: 1...170, using: &random)
            for tick in 0..<cut { _ = queue.take(tick) }
            let old = queue
            let offset = [
                Float.random(in: -0.5...0.5, using: &random), Float.random(in: -0.5...0.5, using: &random), 0,
            ]
            let start = zip(queue.command, offset).map { $0 + $1 }
            let capture = cut - Int64.random(in: 1...40, using: &random)
            let new = try randomChunk(rows: 16, from: start, &random)
            guard case .applied = queue.merge(new, capturedAt: capture) else { continue }

            func oldValue(_ tick: Int64, _ dimension: Int) -> Float {
                if let value = old.planned(tick) { return value[dimension] }
                return tick >= old.endTick
                    ? (old.planned(old.endTick - 1) ?? old.command)[dimension] : old.command[dimension]
            }
            var before = old.command
            var previousTick = cut - 1
            while queue.take(previousTick + 1) {
                let tick = previousTick + 1
                for dimension in 0..<2 {
                    // Bounds of the two trajectories alone: rows move at most 0.2 per 10 ticks, the first
                    // segment starts at the old command instead of `start`.
                    let rowStep = Float(0.02)
                    let bridgeStep = abs(new[0, dimension] - oldValue(capture, dimension)) / 10 + 0.03
                    let oldStep = abs(oldValue(tick, dimension) - oldValue(tick - 1, dimension))
                    let difference: Float = 2.5
                    let bound =
                        max(rowStep, tick <= capture + 20 ? bridgeStep : rowStep) + oldStep + 1.5 * difference
                        / Float(blend)
                    let step = abs(queue.command[dimension] - before[dimension])
                    #expect(step <= bound, "\(aggregate) seed \(seed) tick \(tick): \(step) > \(bound)")
                }
                before = queue.command
                previousTick = tick
            }
        }
    }

    @Test func aBorderBetweenTwoStandingPlansIsEased() throws {
        // Old plan stands at 0, new one at 1: the largest step is 1.5 times the difference divided by the blend.
        var queue = ActionQueue(configuration: configuration(.latestOnly), startingAt: 0, pose: [0, 0, 0])
        _ = queue.merge(try chunk(Array(repeating: [0, 0, 0], count: 16)), capturedAt: -1)
        for tick in Int64(0)..<50 { _ = queue.take(tick) }
        _ = queue.merge(try chunk(Array(repeating: [1, 0, 80], count: 16)), capturedAt: 35)
        var previous: Float = 0
        var largest: Float = 0
        for tick in Int64(50)..<120 {
            #expect(queue.take(tick) == true)
            largest = max(largest, abs(queue.command[0] - previous))
            #expect(queue.command[2] == 0 || queue.command[2] == 80, "claws are never averaged")
            previous = queue.command[0]
        }
        #expect(abs(largest - 1.5 / 20) < 2e-3)
        #expect(previous == 1)
    }
}

/// A small seeded generator, so that a failing seed can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
