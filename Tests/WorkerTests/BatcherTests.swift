import GrootCore
import GrootTesting
import Testing

@testable import Worker

@Suite(.timeLimit(.minutes(1)))
struct BatcherTests {
    private let runner = ScriptedRunner(open: false)

    private func batcher(maxWaiting: Int = 8, maxBatch: Int = 4) -> Batcher {
        Batcher(
            runner: runner,
            configuration: .init(maxWaiting: maxWaiting, maxBatch: maxBatch),
            metrics: WorkerMetrics(registry: MetricsRegistry(), maxBatch: maxBatch)
        )
    }

    private func input(_ value: Float) -> PolicyInput {
        var input = PolicyInput.zeros(for: runner.description)
        input.state = [value, 0]
        return input
    }

    private func call(
        _ batcher: Batcher,
        _ robot: String,
        _ value: Float,
        observation: UInt64 = 0,
        deadline: MonotonicInstant? = nil
    ) -> Task<Result<Batcher.Answer, WorkerError>, Never> {
        let input = input(value)
        return Task {
            await Result { () async throws(WorkerError) in
                try await batcher.infer(input, robot: robot, observation: observation, deadline: deadline)
            }
        }
    }

    @Test
    func `each call gets its own row of a shared batch`() async throws {
        let batcher = batcher()
        let first = call(batcher, "r1", 10)
        try await eventually("the first inference runs") { await runner.isHolding }
        let others = [call(batcher, "r2", 20), call(batcher, "r3", 30)]
        try await eventually("both wait") { await batcher.waitingCount == 2 }
        await runner.open()

        #expect(try await first.value.get().values == [10, 11, 12, 13, 14, 15])
        #expect(try await first.value.get().batchSize == 1)
        let second = try await others[0].value.get()
        #expect(second.values.first == 20)
        #expect(second.batchSize == 2)
        #expect(try await others[1].value.get().values.first == 30)
        #expect(await runner.batches.map(\.count) == [1, 2])
    }

    @Test
    func `a superseded call ends at once, with the newer observation's number`() async throws {
        let batcher = batcher()
        let running = call(batcher, "busy", 0)
        try await eventually("an inference runs") { await runner.isHolding }
        let older = call(batcher, "r1", 1, observation: 6)
        try await eventually("the older one waits") { await batcher.waitingCount == 1 }
        let newer = call(batcher, "r1", 2, observation: 7)

        let error = await older.value.failure
        #expect(error?.code == .superseded)
        #expect(error?.message == "superseded by observation 7")
        await runner.open()
        #expect(try await newer.value.get().values.first == 2)
        _ = await running.value
    }

    @Test
    func `a full queue refuses with advice`() async throws {
        let batcher = batcher(maxWaiting: 1)
        let running = call(batcher, "busy", 0)
        try await eventually("an inference runs") { await runner.isHolding }
        let waiting = call(batcher, "r1", 1)
        try await eventually("one waits") { await batcher.waitingCount == 1 }
        let error = await call(batcher, "r2", 2).value.failure
        #expect(error?.code == .queueFull)
        #expect(error?.message.contains("Retry") == true)
        await runner.open()
        _ = await (running.value, waiting.value)
    }

    @Test
    func `a deadline that passes in the queue costs no inference`() async throws {
        let batcher = batcher()
        let running = call(batcher, "busy", 0)
        try await eventually("an inference runs") { await runner.isHolding }
        let late = call(batcher, "r1", 1, deadline: .now() + .seconds(1))
        try await eventually("it waits") { await batcher.waitingCount == 1 }
        let passed = MonotonicInstant.now() + .seconds(1)
        try await eventually("the deadline passes") { MonotonicInstant.now() > passed }
        await runner.open()
        #expect(await late.value.failure?.code == .deadlineExceeded)
        _ = await running.value
        #expect(await runner.batches.count == 1)
    }

    @Test
    func `a cancelled call ends and leaves the queue`() async throws {
        let batcher = batcher()
        let running = call(batcher, "busy", 0)
        try await eventually("an inference runs") { await runner.isHolding }
        let gone = call(batcher, "r1", 1)
        try await eventually("it waits") { await batcher.waitingCount == 1 }
        gone.cancel()
        #expect(await gone.value.failure?.code == .cancelled)
        #expect(await batcher.waitingCount == 0)
        await runner.open()
        _ = await running.value
        await batcher.waitUntilIdle()
        #expect(await runner.batches.count == 1)
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
