import GrootAPI
import GrootCore
import Testing

@testable import RobotAgent

struct RealTimeChunkingTests {
    private let names = (0..<16).map { "a\($0)" }
    private var configuration: ActionQueue.Configuration {
        .init(dimensions: 16, claws: 14..<16, maximumRows: 16, aggregate: .latestOnly, blendTicks: 20)
    }

    private func policy() -> PolicyDescription {
        PolicyDescription(
            checkpoint: "c",
            policyType: "t",
            sha256: "",
            runtime: "r",
            images: [],
            stateNames: [],
            // Another order than the robot's.
            actionNames: names.reversed(),
            chunkSize: 16,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 96
        )
    }

    private func chunk(_ random: inout SplitMix, around pose: Float) throws -> ActionChunk {
        let values = (0..<256).map { index in
            index % 16 < 14 ? pose + Float.random(in: -0.2...0.2, using: &random) : Bool.random(using: &random) ? 0 : 80
        }
        return try #require(ActionChunk(names: names, rows: 16, values: values, period: .milliseconds(100)))
    }

    /// Every row of a prefix is what the robot later executes at that row's instant, as long as nothing is merged.
    @Test(arguments: UInt64(1)...40)
    func thePrefixIsWhatWillBeExecuted(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var queue = ActionQueue(configuration: configuration, startingAt: 0, pose: Array(repeating: 0, count: 16))
        let board = PlanBoard(for: configuration)
        var executed: [Int64: [Float]] = [:]
        var tick: Int64 = 0
        func run(until end: Int64) {
            while tick < end {
                if queue.take(tick) { executed[tick] = queue.command }
                tick += 1
            }
        }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let capture = tick - Int64.random(in: 1...30, using: &random)
            _ = queue.merge(try chunk(&random, around: 0), capturedAt: capture)
            // The copy is made in the tick of the merge.
            board.store(queue)
            run(until: tick + Int64.random(in: 20...80, using: &random))
        }
        let capture = tick - Int64.random(in: 0...12, using: &random)
        let prefix = try #require(
            RealTimeChunking.prefix(
                from: board,
                capturedAt: capture,
                delay: .milliseconds(250),
                overlap: 16,
                policy: policy(),
                order: names
            )
        )
        run(until: queue.endTick)
        #expect(prefix.rows == UInt32((queue.endTick - 1 - capture) / 10))
        #expect(prefix.frozenRows == min(3, prefix.rows), "250 ms reach into the third row")
        let frozen = try #require(
            RealTimeChunking.prefix(
                from: board,
                capturedAt: capture,
                delay: .milliseconds(250),
                policy: policy(),
                order: names
            )
        )
        #expect(frozen.rows == prefix.frozenRows && frozen.frozenRows == prefix.frozenRows)
        #expect(frozen.values == Array(prefix.values.prefix(frozen.values.count)))
        for row in 0..<Int(prefix.rows) {
            let due = capture + 10 * Int64(row + 1)
            let sent = Array(prefix.values[row * 16..<(row + 1) * 16].reversed())
            #expect(sent == executed[due], "row \(row), seed \(seed)")
            #expect(sent.suffix(2).allSatisfy { $0 == 0 || $0 == 80 }, "claws are never half closed")
        }
    }

    /// A policy that keeps the frozen rows as they are: the command does not change before they are over.
    @Test(arguments: UInt64(1)...40)
    func aContinuedChunkChangesNothingThatIsFrozen(seed: UInt64) throws {
        var random = SplitMix(state: seed &* 7919)
        let pose = [Float](repeating: 0, count: 16)
        var queue = ActionQueue(configuration: configuration, startingAt: 0, pose: pose)
        let board = PlanBoard(for: configuration)
        _ = queue.merge(try chunk(&random, around: 0), capturedAt: -1)
        board.store(queue)
        for tick in Int64(0)..<40 { _ = queue.take(tick) }
        let capture: Int64 = 39
        let delay = Int64.random(in: 5...50, using: &random)
        let leftover = board.leftover(capturedAt: capture, delay: delay, limit: 16)
        var new = try chunk(&random, around: 0)
        for row in 0..<leftover.frozen {
            for dimension in 0..<16 { new.values[row * 16 + dimension] = leftover.rows[row][dimension] }
        }
        // What would be executed without the merge.
        var old = queue
        let arrival = capture + delay
        for tick in Int64(40)..<arrival { _ = (queue.take(tick), old.take(tick)) }
        guard case .applied = queue.merge(new, capturedAt: capture) else {
            Issue.record("the chunk is not stale")
            return
        }
        var largest: Float = 0
        for tick in arrival...(capture + 10 * Int64(leftover.frozen)) {
            let isPlanned = (queue.take(tick), old.take(tick))
            #expect(isPlanned == (true, true))
            for dimension in 0..<14 { largest = max(largest, abs(queue.command[dimension] - old.command[dimension])) }
        }
        // Between two rows the old plan may bend at another tick than the new one: half a row's bend at most.
        #expect(largest < 0.11, "seed \(seed): \(largest)")
    }

    @Test func nothingIsLeftOfAnEmptyPlan() {
        let board = PlanBoard(for: configuration)
        #expect(board.leftover(capturedAt: 0, delay: 10, limit: 16).rows.isEmpty)
        #expect(
            RealTimeChunking.prefix(from: board, capturedAt: 5, delay: nil, policy: policy(), order: names) == nil
        )
    }

    @Test func aColdStartFades() throws {
        var latencies = DecayingPercentile()
        #expect(latencies.value(0.9) == nil)
        latencies.record(.seconds(3))
        #expect(latencies.value(0.9) == .seconds(3))
        for _ in 0..<40 { latencies.record(.milliseconds(100)) }
        #expect(latencies.value(0.9) == .milliseconds(100))
        #expect(latencies.value(1) == .seconds(3))
        for _ in 0..<64 { latencies.record(.milliseconds(100)) }
        #expect(latencies.value(1) == .milliseconds(100))
    }
}
