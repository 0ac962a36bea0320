import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

@Suite
struct CheckpointConfigTests {
    private let directory: TemporaryDirectory
    private let good: String

    init() throws {
        directory = try TemporaryDirectory()
        let file = URL(filePath: TestRuntime.fixture("tiny")).appending(path: "config.json")
        good = try String(contentsOf: file, encoding: .utf8)
    }

    @Test
    func `a good config becomes a description and survives the wire`() throws {
        let description = try read(good)
        #expect(description.images.map(\.key) == ["observation.images.a", "observation.images.b"])
        #expect(description.images.map(\.width) == [4, 4])
        #expect(description.stateNames == ["left", "right", "claw"])
        #expect(description.actionNames == ["left", "right", "claw_position"])
        #expect(description.chunkSize == 4)
        #expect(description.actionPeriod == .milliseconds(100))
        #expect(description.maxTaskBytes == 32)
        #expect(description.supportsPrefix)
        #expect(try PolicyDescription(Groot_V1_Policy(description)) == description)
    }

    @Test(arguments: [
        (#""chunk_size": 4"#, #""chunk_sizes": 4"#, #"key "chunk_size" is missing"#),
        (#""chunk_size": 4"#, #""chunk_size": "4""#, #"key "chunk_size" has the wrong type, expected a whole number"#),
        (#""chunk_size": 4"#, #""chunk_size": 0"#, "chunk_size is 0, expected 1 to 1000"),
        (
            #""action_period_s": 0.1"#, #""action_period_s": null"#,
            #"key "groot.action_period_s" is null, expected a number"#
        ),
        (#""action_period_s": 0.1"#, #""action_period_s": -1"#, "groot.action_period_s is -1.0"),
        (#""supports_prefix": true"#, #""supports_prefix": 3"#, "expected true or false"),
        (#""groot": {"#, #""root": {"#, #"key "groot" is missing"#),
        (#""right","#, #""left","#, "groot.state_names holds a name twice"),
        (#""n_obs_steps": 1"#, #""n_obs_steps": 2"#, "n_obs_steps is 2, expected 1"),
        (#""type": "VISUAL""#, #""type": "DEPTH""#, "expected VISUAL or STATE"),
        (#""action": {"#, #""move": {"#, "expected one ACTION named action"),
        (#""claw_position""#, #""claw_position", "more""#, "groot.action_names has 4 names, expected shape [3]"),
        (#""max_task_bytes": 32"#, #""max_task_bytes": 0"#, "groot.max_task_bytes is 0"),
        ("{", "", "it is no JSON"),
    ])
    func `a bad config is refused with file, key and expectation`(from: String, to: String, says: String) throws {
        let bad = good.replacing(from, with: to)
        try #require(bad != good)
        let error = #expect(throws: WorkerError.self) { try read(bad) }
        #expect(error?.code == .badCheckpoint)
        #expect(error?.message.contains("config.json") == true)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
    }

    @Test
    func `a missing file is named`() throws {
        let error = #expect(throws: WorkerError.self) { try CheckpointConfig.read(directory: directory.url) }
        #expect(error?.code == .badCheckpoint)
        #expect(error?.message.contains("config.json") == true)
    }

    @Test
    func `the digest covers both files and the border between them`() throws {
        func digest(_ config: String, _ model: String) throws -> String {
            try config.write(to: directory.url.appending(path: "config.json"), atomically: true, encoding: .utf8)
            try model.write(to: directory.url.appending(path: "model.onnx"), atomically: true, encoding: .utf8)
            return try CheckpointDigest.of(directory: directory.url, files: ["config.json", "model.onnx"])
        }
        let original = try digest("ab", "cd")
        #expect(original.count == 64)
        #expect(try digest("ab", "cd") == original)
        #expect(try digest("ax", "cd") != original)
        #expect(try digest("ab", "cx") != original)
        #expect(try digest("abc", "d") != original)
    }

    @Test
    func `the library is looked for in the documented order`() {
        func candidates(flag: String? = nil, named: String? = nil, existing: String? = nil) -> [String] {
            LibrarySearch.candidates(
                flag: flag,
                environment: named.map { [LibrarySearch.environmentKey: $0] } ?? [:],
                currentDirectory: "/project/sub/folder",
                exists: { $0 == existing }
            )
        }
        let own = "/project/.state/onnxruntime/libonnxruntime.so"
        #expect(candidates(flag: "/flag.so", named: "/env.so", existing: own) == ["/flag.so"])
        #expect(candidates(named: "/env.so", existing: own) == ["/env.so"])
        #expect(candidates(existing: own) == [own])
        #expect(candidates() == ["libonnxruntime.so"])
    }

    private func read(_ text: String) throws -> PolicyDescription {
        try text.write(to: directory.url.appending(path: "config.json"), atomically: true, encoding: .utf8)
        return try CheckpointConfig.read(directory: directory.url)
            .description(name: "tiny", sha256: "00", file: "config.json")
    }
}

@Suite(.enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct CheckpointLoadTests {
    @Test
    func `the table that was loaded is named`() async throws {
        let policy = try await TestRuntime.load("tiny")
        let expected = /^ONNX Runtime 1\.\d+\.\d+ \(table \d+\) on the CPU/
        #expect(policy.version.contains(expected), "\(policy.version)")
        #expect(policy.description.checkpoint == "tiny")
    }

    @Test(arguments: [
        ("wrong-shape", "noise float32 [?, 4, 3]", "noise float32 [?, 5, 3]"),
        ("not-finite", "warm-up inference of a batch of 1 failed", "answered nan for left in row 0"),
        ("corrupt", "corrupt/model.onnx cannot be loaded", "Protobuf parsing failed"),
    ])
    func `a model that does not fit or does not work is refused`(name: String, says: String, and: String) async throws {
        let error = await #expect(throws: WorkerError.self) { try await TestRuntime.load(name) }
        #expect(error?.code == .badCheckpoint)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(and) == true, "\(error?.message ?? "")")
    }

    @Test
    func `a library that is none is refused with the loader's words`() async throws {
        let options = CheckpointOptions(directory: TestRuntime.fixture("tiny"), library: #filePath)
        let error = await #expect(throws: WorkerError.self) {
            try await OnnxPolicy.load(options, logger: Logger(label: "test"))
        }
        #expect(error?.code == .runtimeMissing)
        #expect(error?.message.contains("invalid ELF header") == true || error?.message.contains("too short") == true)
    }
}
