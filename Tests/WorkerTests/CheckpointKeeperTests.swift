import Foundation
import GrootAPI
import GrootAdmin
import GrootCore
import GrootTesting
import Logging
import Synchronization
import Testing

@testable import Worker

/// Loading, exchanging and unloading while serving.
@Suite(.timeLimit(.minutes(1)))
struct CheckpointKeeperTests {
    private let folder: TemporaryDirectory
    private let state = ServingState()

    init() throws {
        folder = try TemporaryDirectory(prefix: "groot-keeper")
        for name in ["one", "two", "three"] {
            let directory = folder.url.appending(path: name)
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            try Data("model".utf8).write(to: directory.appending(path: "model.onnx"))
        }
    }

    /// Loads by script: what `fate` says of a checkpoint's name and of how often it was loaded.
    private func keeper(
        budget: Int? = nil,
        rooted: Bool = true,
        fate: @escaping @Sendable (String) async -> Result<any PolicyRuntime, WorkerError>
    ) -> CheckpointKeeper {
        CheckpointKeeper(
            configuration: .init(
                base: CheckpointOptions(directory: folder.url.appending(path: "one").path, maxBatch: 2),
                queue: .init(maxWaiting: 8, maxBatch: 2),
                memoryBudget: budget,
                root: rooted ? folder.url : nil
            ),
            state: state,
            metrics: WorkerMetrics(registry: MetricsRegistry(), maxBatch: 2),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            load: { options, progress, _ throws(WorkerError) in
                progress(.warming(maxBatch: 2))
                return try await fate(options.name).get()
            }
        )
    }

    private func path(_ name: String) -> String { folder.url.appending(path: name).path }

    @Test
    func `checkpoints come and go while another is served`() async throws {
        let keeper = keeper { name in .success(ScriptedRunner(checkpoint: name)) }
        try await keeper.loadAll([path("one")])
        #expect(state.phase == .serving)
        #expect(try await keeper.begin(directory: path("two"), name: nil, runtime: nil) == "two")
        try await eventually("two is served") { (try? state.batcher(for: "two")) != nil }
        try await keeper.unload("one")
        #expect(throws: WorkerError.self) { try state.batcher(for: "one") }
        let last = await #expect(throws: WorkerError.self) { try await keeper.unload("two") }
        #expect(last?.message.contains("only checkpoint") == true)
        let unknown = await #expect(throws: WorkerError.self) { try await keeper.unload("one") }
        #expect(unknown?.code == .unknownCheckpoint)
    }

    @Test
    func `an exchange is atomic and finishes what the old one accepted`() async throws {
        let old = ScriptedRunner(checkpoint: "one", open: false)
        let new = ScriptedRunner(checkpoint: "one")
        let loads = Tally()
        let keeper = keeper { _ -> Result<any PolicyRuntime, WorkerError> in
            .success(loads.next() == 1 ? old : new)
        }
        try await keeper.loadAll([path("one")])
        let batcher = try state.batcher(for: "one")
        let input = PolicyInput.zeros(for: old.description)
        async let running = batcher.infer(input, robot: "r1", observation: 1, deadline: nil)
        try await eventually("the old one runs") { await old.isHolding }
        _ = try await keeper.begin(directory: path("one"), name: nil, runtime: nil)
        try await eventually("the new one is installed") { (try? state.batcher(for: "one"))?.key != batcher.key }
        // Whoever still holds the old batcher is told to ask again.
        try await eventually("the old one takes nothing more") {
            await Result { () async throws(WorkerError) in
                try await batcher.infer(input, robot: "r2", observation: 1, deadline: .now() + .milliseconds(1))
            }.code == .retired
        }
        await old.open()
        #expect(try await running.values.count == 6)
        let answer = try await state.batcher(for: "one").infer(input, robot: "r1", observation: 2, deadline: nil)
        #expect(answer.values.count == 6)
        #expect(await new.batches.count == 1)
    }

    @Test
    func `a load that fails leaves what is served and tells why`() async throws {
        let loads = Tally()
        let keeper = keeper { name -> Result<any PolicyRuntime, WorkerError> in
            loads.next() == 1
                ? .success(ScriptedRunner(checkpoint: name))
                : .failure(WorkerError(.badCheckpoint, "the warm-up of a batch of 2 failed"))
        }
        try await keeper.loadAll([path("one")])
        let before = try state.batcher(for: "one").key
        _ = try await keeper.begin(directory: path("one"), name: nil, runtime: nil)
        try await eventually("the load failed") { state.loads["one"]?.failed == true }
        #expect(state.loads["one"]?.step.contains("batch of 2 failed") == true)
        #expect(try state.batcher(for: "one").key == before)
        #expect(state.isServing)
    }

    @Test
    func `the budget holds during an exchange, by files before and by memory after loading`() async throws {
        let keeper = keeper(budget: 100) { name in
            .success(ScriptedRunner(checkpoint: name, memoryBytes: name == "two" ? 70 : 40))
        }
        try await keeper.loadAll([path("one")])
        _ = try await keeper.begin(directory: path("two"), name: nil, runtime: nil)
        try await eventually("two is refused") { state.loads["two"]?.failed == true }
        #expect(state.loads["two"]?.step.contains("--memory-budget") == true)
        #expect(await keeper.memoryUsed == 40)
        _ = try await keeper.begin(directory: path("three"), name: nil, runtime: nil)
        try await eventually("three is served") { (try? state.batcher(for: "three")) != nil }
        #expect(await keeper.memoryUsed == 80)
        try Data(count: 200).write(to: folder.url.appending(path: "two/model.onnx"))
        let error = await #expect(throws: WorkerError.self) {
            try await keeper.begin(directory: path("two"), name: nil, runtime: nil)
        }
        #expect(error?.code == .overBudget)
        try await keeper.unload("one")
        try await eventually("memory is given back") { await keeper.memoryUsed == 40 }
    }

    @Test
    func `only directories below the folder may be loaded`() async throws {
        let keeper = keeper { name in .success(ScriptedRunner(checkpoint: name)) }
        for directory in ["/etc", path("one") + "/../../", folder.url.path] {
            let error = await #expect(throws: WorkerError.self) {
                try await keeper.begin(directory: directory, name: nil, runtime: nil)
            }
            #expect(error?.message.contains("is not below") == true)
        }
        let closed = self.keeper(rooted: false) { name in .success(ScriptedRunner(checkpoint: name)) }
        let error = await #expect(throws: WorkerError.self) {
            try await closed.begin(directory: path("one"), name: nil, runtime: nil)
        }
        #expect(error?.message.contains("--checkpoints") == true)
    }

    @Test
    func `the admin listener lists, loads and unloads`() async throws {
        let keeper = keeper { name in .success(ScriptedRunner(checkpoint: name)) }
        try await keeper.loadAll([path("one")])
        let routes = CheckpointEndpoints(keeper: keeper).routes
        func ask(_ index: Int, _ body: String = "", name: String = "") async -> AdminResponse {
            await routes[index].handler(AdminRequest(parameters: ["name": name], body: Array(body.utf8)))
        }
        #expect(await ask(1, "nonsense").status == 400)
        #expect(await ask(1, #"{"directory": "/etc"}"#).status == 400)
        #expect(await ask(1, #"{"directory": "\#(path("two"))", "runtime": "magic"}"#).json.contains("magic"))
        #expect(await ask(1, #"{"directory": "\#(path("two"))", "name": "new"}"#).status == 202)
        try await eventually("it is listed") { await ask(0).json.contains(#""name" : "new""#) }
        let listing = await ask(0)
        #expect(listing.status == 200)
        #expect(listing.json.contains(#""phase" : "serving""#))
        #expect(await ask(2, name: "nobody").status == 404)
        #expect(await ask(2, name: "one").status == 200)
        #expect(await ask(2, name: "new").status == 409)
    }
}

/// Counts from 1.
private final class Tally: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}

extension Result where Failure == WorkerError {
    fileprivate var code: WorkerError.Code? {
        if case .failure(let error) = self { error.code } else { nil }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct GatewayRegistrationTests {
    @Test
    func `a lease is renewed at a third of its time, a failure waits longer each time`() {
        var machine = LeaseMachine()
        #expect((0..<3).map { _ in machine.failed() } == [.milliseconds(500), .seconds(1), .seconds(2)])
        #expect(machine.renewed(lease: .seconds(9)) == .seconds(3))
        #expect(machine.failed() == .milliseconds(500))
        for _ in 0..<10 { _ = machine.failed() }
        #expect(machine.failed() == LeaseMachine.longestRetry)
    }
}
