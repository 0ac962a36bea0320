import GrootCore
import GrootTesting
import Testing

@testable import Worker

/// A policy that fails on some rows, in one way or another.
private struct FaultyRunner: PolicyRuntime {
    enum Fault: String, CaseIterable {
        /// The whole batch fails when such a row is in it.
        case batch
        /// Only the row fails.
        case row
        /// The batch fails when it has more than one row.
        case memory
        /// Everything fails.
        case broken
        /// The process that runs the policy ends.
        case lost
        /// Fewer rows than were asked.
        case short
    }

    static let poison: Float = 666

    var fault: Fault
    let description = ScriptedRunner().description
    let version = "faulty"
    let memoryBytes = 0

    func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult {
        let isPoisoned = batch.contains { $0.state[0] == Self.poison }
        let failure = WorkerError(.inferenceFailed, "the policy does not like this")
        switch fault {
        case .broken: throw failure
        case .batch where isPoisoned: throw failure
        case .memory where batch.count > 1: throw WorkerError(.outOfMemory, "no memory")
        case .lost where isPoisoned: throw WorkerError(.runtimeLost, "it ended")
        default: break
        }
        let chunks = batch.map { input -> ChunkResult in
            fault == .row && input.state[0] == Self.poison ? .failure(failure) : .success([input.state[0]])
        }
        return BatchResult(
            chunks: fault == .short && batch.count > 1 ? Array(chunks.dropLast()) : chunks,
            preprocess: .zero,
            infer: .microseconds(1),
            postprocess: .zero
        )
    }

    func close() async {}
}

@Suite(.timeLimit(.minutes(1)))
struct BatchRunTests {
    private func inputs(_ poisoned: [Bool]) -> [PolicyInput] {
        poisoned.enumerated().map { row, isPoisoned in
            var input = PolicyInput.zeros(for: ScriptedRunner().description)
            input.state = [isPoisoned ? FaultyRunner.poison : Float(row), 0]
            return input
        }
    }

    /// Every set of poisoned rows in batches of 1 to 4, for every way to fail.
    @Test(arguments: FaultyRunner.Fault.allCases)
    private func `each row gets what it alone deserves`(fault: FaultyRunner.Fault) async {
        for count in 1...4 {
            for bits in 0..<1 << count {
                let poisoned = (0..<count).map { bits >> $0 & 1 == 1 }
                let outcome = await BatchRun(runner: FaultyRunner(fault: fault)).run(inputs(poisoned))
                #expect(outcome.rows.count == count)
                for (row, result) in outcome.rows.enumerated() {
                    let answer = "\(poisoned[row] ? FaultyRunner.poison : Float(row))"
                    let expected: String =
                        switch fault {
                        case .broken: "inferenceFailed"
                        case .batch, .row: poisoned[row] ? "unanswerable" : answer
                        case .lost where bits != 0: "runtimeLost"
                        case .memory, .lost, .short: answer
                        }
                    let found = result.told { "\($0.values[0])" }
                    #expect(found == expected, "\(fault) \(poisoned) row \(row)")
                }
                let splits = count > 1 && (fault == .broken || fault == .memory || fault == .short)
                #expect(outcome.wasSplit == (splits || (fault == .batch && count > 1 && bits != 0)))
            }
        }
    }

    @Test
    func `a row whose caller went away is not run again, and answers leave at once`() async {
        var run = BatchRun(runner: FaultyRunner(fault: .batch))
        let early = Early()
        run.isWanted = { $0 != 1 }
        run.answered = { row, answer in await early.add(row, answer.batchSize) }
        let outcome = await run.run(inputs([false, false, true, false]))
        #expect(await early.rows == [0: 1, 3: 1])
        #expect(outcome.rows.map { $0.told { "\($0.values[0])" } } == ["0.0", "cancelled", "unanswerable", "3.0"])
    }

    private actor Early {
        var rows: [Int: Int] = [:]

        func add(_ row: Int, _ size: Int) { rows[row] = size }
    }

    /// The row "a task in a batch fails all robots of the batch", through the batcher.
    @Test
    func `beside a robot that poisons its batches the others lose nothing`() async throws {
        let batcher = Batcher(
            runner: FaultyRunner(fault: .batch),
            configuration: .init(maxWaiting: 64, maxBatch: 4),
            metrics: WorkerMetrics(registry: MetricsRegistry(), maxBatch: 4)
        )
        let failures = await withTaskGroup(of: (String, [WorkerError.Code]).self) { group in
            for robot in 0..<6 {
                group.addTask {
                    let name = robot == 0 ? "poison" : "r\(robot)"
                    var codes: [WorkerError.Code] = []
                    for observation in 0..<100 {
                        var input = PolicyInput.zeros(for: batcher.runner.description)
                        input.state = [robot == 0 ? FaultyRunner.poison : Float(robot), 0]
                        let sent = input
                        let result = await Result { () async throws(WorkerError) in
                            try await batcher.infer(sent, robot: name, observation: UInt64(observation), deadline: nil)
                        }
                        switch result {
                        case .success(let answer): #expect(answer.values == [Float(robot)])
                        case .failure(let error): codes.append(error.code)
                        }
                    }
                    return (name, codes)
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(failures["poison"] == Array(repeating: .unanswerable, count: 100))
        for robot in 1..<6 { #expect(failures["r\(robot)"] == [], "r\(robot)") }
    }
}

/// Robots that fail their neighbours run alone until they have had an answer.
@Suite
struct SuspectTests {
    private typealias Queue = BatchQueue<Int>

    private func entry(_ id: Int, _ robot: String) -> Queue.Entry { .init(id: id, robot: robot, observation: 0) }

    private let now = MonotonicInstant(nanoseconds: 1)

    private func busy(maxBatch: Int = 4) -> Queue {
        var queue = Queue(configuration: .init(maxBatch: maxBatch))
        #expect(queue.requestArrived(entry(0, "first"), at: now) == [.run([0])])
        return queue
    }

    @Test
    func `a suspect waits while others do, at most two batches long, and runs alone`() {
        var queue = busy()
        _ = queue.requestArrived(entry(1, "bad"), at: now)
        _ = queue.requestArrived(entry(2, "good"), at: now)
        #expect(queue.batchFinished(at: now, .init(failed: ["bad"])) == [.run([2])])
        for id in [3, 4] { _ = queue.requestArrived(entry(id, "good\(id)"), at: now) }
        #expect(queue.batchFinished(at: now) == [.run([3, 4])])
        _ = queue.requestArrived(entry(5, "good"), at: now)
        #expect(queue.batchFinished(at: now) == [.run([1])])
        #expect(queue.batchFinished(at: now, .init(failed: ["bad"])) == [.run([5])])
        #expect(queue.batchFinished(at: now) == [])
        #expect(queue.isIdle)
    }

    @Test
    func `alone it runs at once, and after an answer it shares batches again`() {
        var queue = busy()
        #expect(queue.batchFinished(at: now, .init(failed: ["bad"])) == [])
        #expect(queue.isSuspect("bad"))
        #expect(queue.requestArrived(entry(1, "bad"), at: now) == [.run([1])])
        for id in [2, 3] { _ = queue.requestArrived(entry(id, id == 2 ? "bad" : "good"), at: now) }
        #expect(queue.batchFinished(at: now, .init(answered: ["bad"])) == [.run([2, 3])])
        #expect(!queue.isSuspect("bad"))
    }

    @Test
    func `nobody's name is no suspect, and the memory is bounded`() {
        var queue = busy()
        _ = queue.batchFinished(at: now, .init(failed: [""] + (0..<1000).map { "r\($0)" }))
        #expect(!queue.isSuspect(""))
        #expect((0..<1000).count(where: { queue.isSuspect("r\($0)") }) == Queue.maximumSuspects)
    }

    @Test
    func `a batch that was split says nothing about the next one's time`() {
        var queue = busy()
        _ = queue.batchFinished(at: now + .milliseconds(10))
        _ = queue.requestArrived(entry(1, "r"), at: now)
        let before = queue.times[1]
        _ = queue.batchFinished(at: now + .seconds(5), .init(isTypical: false))
        #expect(queue.times[1] == before)
    }
}
