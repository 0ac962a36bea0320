import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// What becomes of a child that dies, hangs or fails: with a real Python, but without LeRobot.
@Suite(.timeLimit(.minutes(2)))
struct PythonChildTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-child") }

    private func options(_ name: String, timeout: Duration = .seconds(20)) throws -> CheckpointOptions {
        let directory = folder.url.appending(path: name)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Data("{}".utf8).write(to: directory.appending(path: "config.json"))
        return CheckpointOptions(
            directory: directory.path,
            runtime: .lerobot,
            maxBatch: 2,
            adapter: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "scripted_policy.py").path,
            inferenceTimeout: timeout,
            loadTimeout: .seconds(20)
        )
    }

    private func load(_ options: CheckpointOptions) async throws(WorkerError) -> LeRobotPolicy {
        try await LeRobotPolicy.load(options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func input(_ task: String = "go", left: Float = 1) -> PolicyInput {
        PolicyInput(images: [[1, 2, 3, 4, 5, 6]], state: [left, 2], task: task)
    }

    @Test
    func `a batch goes through shared memory and back, with its prefix`() async throws {
        let policy = try await load(try options("works"))
        #expect(policy.description.checkpoint == "works")
        #expect(policy.description.actionPeriod == .milliseconds(100))
        #expect(policy.description.batchTimes.map(\.batch) == [1, 2])
        var second = input(left: 5)
        second.prefix = [7, 8, 9, 9]
        second.prefixRows = 2
        second.frozenRows = 1
        let answer = try await policy.run([input(), second])
        #expect(try answer.chunks[0].get() == [1, 23, 2, 23, 3, 23])
        #expect(try answer.chunks[1].get() == [7, 8, 6, 23, 7, 23])
        #expect(answer.infer == .microseconds(2))
        await policy.close()
    }

    @Test
    func `a failure of the policy fails the batch and nothing else`() async throws {
        let policy = try await load(try options("works"))
        let error = await #expect(throws: WorkerError.self) { try await policy.run([input("fail")]) }
        #expect(error?.code == .inferenceFailed)
        #expect(error?.message.contains("works failed: ValueError: the policy does not like this") == true)
        let memory = await #expect(throws: WorkerError.self) { try await policy.run([input("memory")]) }
        #expect(memory?.code == .outOfMemory)
        #expect(memory?.message.contains("ran out of memory with a batch of 1") == true)
        let rows = try await policy.run([input("nan"), input()])
        #expect(throws: WorkerError.self) { try rows.chunks[0].get() }
        #expect(try rows.chunks[1].get().first == 1)
        await policy.close()
    }

    /// The row "task `<IMG_CONTEXT>` in a batch": Python fails the whole batch for one sentence.
    @Test(arguments: ["fail", "memory"])
    func `a task that the policy cannot read fails for its own robot only`(task: String) async throws {
        let policy = try await load(try options("works"))
        let outcome = await BatchRun(runner: policy).run([input(task), input(left: 5)])
        #expect(outcome.wasSplit)
        let own = task == "fail" ? "unanswerable" : "outOfMemory"
        #expect(outcome.rows.map { $0.told { "\($0.values[0])" } } == [own, "5.0"])
        await policy.close()
    }

    @Test(arguments: ["die", "hang", "lose the device"])
    func `a child that dies, hangs or loses its GPU in an inference is replaced`(how: String) async throws {
        let policy = try await load(try options("works", timeout: how == "hang" ? .seconds(2) : .seconds(20)))
        let first = await policy.processIdentifier
        let error = await #expect(throws: WorkerError.self) { try await policy.run([input(how)]) }
        #expect(error?.code == .runtimeLost)
        let reason =
            switch how {
            case "die": "ended by signal 9"
            case "hang": "did not answer in time while running a batch of 1"
            default: "GPU no longer answers after: RuntimeError: CUDA error: device-side assert triggered"
            }
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
        try await eventually(within: .seconds(60), "another child serves") { policy.unavailableReason == nil }
        #expect(try await policy.run([input()]).chunks.count == 1)
        #expect(await policy.processIdentifier != first)
        await policy.close()
    }

    @Test
    func `kill -9 from outside is noticed and repaired`() async throws {
        let policy = try await load(try options("works"))
        let victim = try #require(await policy.processIdentifier)
        kill(victim, SIGKILL)
        let error = await #expect(throws: WorkerError.self) { try await policy.run([input()]) }
        #expect(error?.code == .runtimeLost)
        try await eventually(within: .seconds(60), "another child serves") { policy.unavailableReason == nil }
        #expect(try await policy.run([input()]).chunks.count == 1)
        await policy.close()
        try await eventually("no child is left") { await policy.processIdentifier == nil }
    }

    @Test(arguments: [
        ("dies-loading", "ended by signal 9"),
        ("fails-loading", "ValueError: the weights do not fit the configuration"),
        ("fails-warming", "CUDA out of memory; take a smaller --max-batch"),
    ])
    func `what goes wrong while loading is told`(name: String, says: String) async throws {
        let error = await #expect(throws: WorkerError.self) { try await load(try options(name)) }
        #expect(error?.code == .badCheckpoint)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
    }

    @Test
    func `a load that hangs ends with its limit`() async throws {
        var options = try options("hangs-loading")
        options.loadTimeout = .seconds(1)
        let error = await #expect(throws: WorkerError.self) { try await load(options) }
        #expect(error?.message.contains("did not answer in time while loading") == true, "\(error?.message ?? "")")
    }

    @Test
    func `a Python that is none, and one without LeRobot, are named`() async throws {
        var options = try options("works")
        options.python = "/nowhere/python"
        let missing = await #expect(throws: WorkerError.self) { try await load(options) }
        #expect(missing?.message.contains("/nowhere/python cannot be started") == true, "\(missing?.message ?? "")")
        options.python = "/bin/true"
        let mute = await #expect(throws: WorkerError.self) { try await load(options) }
        #expect(mute?.message.contains("ended with code 0 while starting /bin/true") == true, "\(mute?.message ?? "")")
        options.python = "/usr/bin/python3"
        options.adapter = nil
        let bare = await #expect(throws: WorkerError.self) { try await load(options) }
        #expect(bare?.message.contains("this Python has no") == true, "\(bare?.message ?? "")")
    }

    @Test
    func `shared memory that cannot be had is an error, not a bus error`() throws {
        let policy = ScriptedRunner().description
        let layout = try ArenaLayout(policy: policy, maxBatch: 2, path: folder.url.path + "/nowhere/arena")
        let error = #expect(throws: WorkerError.self) { _ = try SharedArena(layout: layout) }
        #expect(error?.message.contains("Cannot create") == true)
        let huge = try ArenaLayout(policy: policy, maxBatch: 1 << 43, path: folder.url.appending(path: "arena").path)
        let full = #expect(throws: WorkerError.self) { _ = try SharedArena(layout: huge) }
        #expect(full?.message.contains("Make room there") == true)
        #expect(!FileManager.default.fileExists(atPath: huge.path))
    }

    @Test
    func `regions do not overlap and begin at multiples of 64`() throws {
        let layout = try ArenaLayout(policy: ScriptedRunner().description, maxBatch: 3, path: "/x")
        let regions = layout.regions.values.sorted { $0.offset < $1.offset }
        for (region, next) in zip(regions, regions.dropFirst()) {
            #expect(region.offset % 64 == 0)
            #expect(region.offset + 3 * region.rowBytes <= next.offset)
        }
        #expect(layout.bytes >= (regions.last.map { $0.offset + 3 * $0.rowBytes } ?? .max))
    }

    @Test
    func `restarts slow down, and a child that served makes up for them`() {
        var backoff = RestartBackoff()
        let now = MonotonicInstant(nanoseconds: 0)
        #expect((0..<3).map { _ in backoff.childLost(at: now) } == [.zero, .milliseconds(500), .seconds(1)])
        for _ in 0..<10 { _ = backoff.childLost(at: now) }
        #expect(backoff.childLost(at: now) == RestartBackoff.longest)
        backoff.childServes(at: now)
        #expect(backoff.childLost(at: now + .seconds(59)) == RestartBackoff.longest)
        backoff.childServes(at: now)
        #expect(backoff.childLost(at: now + .seconds(60)) == .zero)
    }
}
