import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// A Python with LeRobot, as scripts/setup-lerobot.sh makes it.
enum LeRobotEnvironment {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static let python =
        ProcessInfo.processInfo.environment["GROOT_LEROBOT_PYTHON"]
        ?? root.appending(path: ".state/lerobot/bin/python").path

    /// `make test` installs it; where that was not possible the tests are skipped, and say why.
    static let canRun = FileManager.default.isExecutableFile(atPath: python)
    static let reason: Comment = {
        let said = try? String(contentsOf: root.appending(path: ".state/lerobot-skipped"), encoding: .utf8)
        let why = said?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "run scripts/setup-lerobot.sh"
        return "no LeRobot: \(why) (another Python with LeRobot: GROOT_LEROBOT_PYTHON)"
    }()

    /// LeRobot's version there; empty where it does not answer.
    static let version: String = {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: python)
        process.arguments = ["-c", "from importlib.metadata import version; print(version('lerobot'))"]
        process.standardOutput = output
        guard canRun, (try? process.run()) != nil else { return "" }
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: said, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }()

    /// 0.6 put GR00T N1.7 in the place of N1.5.
    static let hasGrootN15 = ["0.4.", "0.5."].contains { version.hasPrefix($0) }
    static let otherGroot: Comment = "LeRobot \(version) has the other GR00T: N1.5 is in 0.4 and 0.5, N1.7 in 0.6"

    /// Runs a program to its end; what it says goes to the test's log.
    static func run(_ program: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) throws
    {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.currentDirectoryURL = root
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(arguments) failed", sourceLocation: sourceLocation)
    }
}

/// Real LeRobot, real checkpoints with random weights.
@Suite(.serialized, .timeLimit(.minutes(10)), .enabled(if: LeRobotEnvironment.canRun, LeRobotEnvironment.reason))
struct LeRobotSerialTests {
    /// Arms in rad, the claw up to 100: float32 sums in another order differ by this much at most.
    private static let tolerance: Float = 2e-4

    private struct Expected: Decodable {
        struct Answer: Decodable {
            var task: String
            var state: [Float]
            var chunk: [[Float]]
            /// With a rest of the previous chunk of which the first rows are frozen; flow-matching policies only.
            var prefix: [[Float]]?
            var frozen: Int?
            var continued: [[Float]]?
        }

        var answers: [Answer]
    }

    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-lerobot") }

    @Test(arguments: ["act", "diffusion", "smolvla"])
    func `the chunk is LeRobot's own, alone and in a batch`(kind: String) async throws {
        try await compare(kind)
    }

    @Test(.enabled(if: LeRobotEnvironment.hasGrootN15, LeRobotEnvironment.otherGroot))
    func `the chunk is LeRobot's own: GR00T N1.5`() async throws {
        try await compare("groot")
    }

    @Test(
        .enabled(if: !LeRobotEnvironment.hasGrootN15, LeRobotEnvironment.otherGroot),
        arguments: ["groot17", "groot17-relative"]
    )
    func `the chunk is LeRobot's own: GR00T N1.7`(kind: String) async throws {
        try await compare(kind)
    }

    private func compare(_ kind: String) async throws {
        let expected = try make(kind)
        let policy = try await load()
        let description = policy.description
        #expect(description.policyType == (kind.hasPrefix("groot") ? "groot" : kind))
        #expect(description.runtime == "lerobot")
        #expect(description.stateNames == ["left", "right", "lift", "claw"])
        #expect(description.actionNames == ["left", "right", "lift", "claw_position"])
        #expect(description.actionPeriod == .milliseconds(50))
        #expect(policy.version.hasPrefix("LeRobot 0."))
        let inputs = inputs(expected, description)
        let together = try await policy.run(inputs)
        for (number, answer) in expected.answers.enumerated() {
            let alone = try await policy.run([inputs[number]])
            for chunk in [try together.chunks[number].get(), try alone.chunks[0].get()] {
                expect(chunk, answer.chunk, "\(kind), observation \(number)")
            }
        }
        #expect(description.supportsPrefix == expected.answers.contains { $0.continued != nil })
        if description.supportsPrefix { try await continues(policy, inputs, expected) }
        await policy.close()
    }

    /// Rows of one batch with different rests of their previous chunks, one of them without any.
    private func continues(_ policy: LeRobotPolicy, _ inputs: [PolicyInput], _ expected: Expected) async throws {
        let width = policy.description.actionNames.count
        let continuing = zip(inputs, expected.answers).map { input, answer in
            var input = input
            guard let prefix = answer.prefix, let frozen = answer.frozen else { return input }
            input.prefixRows = prefix.count
            input.frozenRows = frozen
            // The worker fills up with the last row, as the request's own reader does; only the first rows count.
            let rest = Array(repeating: prefix[prefix.count - 1], count: policy.description.chunkSize - prefix.count)
            input.prefix = (prefix + rest).flatMap { $0 }
            return input
        }
        let answers = try await policy.run(continuing)
        for (number, answer) in expected.answers.enumerated() {
            let chunk = try answers.chunks[number].get()
            expect(chunk, answer.continued ?? answer.chunk, "continued, observation \(number)")
            guard let prefix = answer.prefix, let frozen = answer.frozen else { continue }
            expect(Array(chunk.prefix(frozen * width)), Array(prefix.prefix(frozen)), "frozen, observation \(number)")
        }
    }

    private func expect(
        _ chunk: [Float],
        _ rows: [[Float]],
        _ what: String,
        tolerance: Float = Self.tolerance,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let flat = rows.flatMap { $0 }
        #expect(chunk.count == flat.count, sourceLocation: sourceLocation)
        let worst = zip(chunk, flat).map { abs($0 - $1) }.max() ?? 0
        #expect(worst <= tolerance, "\(what): \(worst)", sourceLocation: sourceLocation)
    }

    @Test
    func `kill -9 of LeRobot's process in an inference costs that inference`() async throws {
        _ = try make("act")
        let policy = try await load()
        let victim = try #require(await policy.processIdentifier)
        let input = PolicyInput.zeros(for: policy.description)
        async let running = Result { () async throws(WorkerError) in
            try await policy.run(Array(repeating: input, count: 4))
        }
        kill(victim, SIGKILL)
        if case .failure(let error) = await running { #expect(error.code == .runtimeLost) }
        // The kill may have come after the answer: the next one finds out.
        if policy.unavailableReason == nil {
            await #expect(throws: WorkerError.self) { try await policy.run([input]) }
        }
        try await eventually(within: .seconds(120), "LeRobot serves again") { policy.unavailableReason == nil }
        #expect(try await policy.run([input]).chunks.count == 1)
        await policy.close()
    }

    @Test
    func `damaged and foreign directories say what is wrong`() async throws {
        _ = try make("act")
        let weights = folder.url.appending(path: "pretrained_model/model.safetensors")
        let whole = try Data(contentsOf: weights)
        try whole.prefix(whole.count / 2).write(to: weights)
        await refused("model.safetensors is damaged: tensor ")
        try Data("short".utf8).write(to: weights)
        await refused("too few for a header")
        try whole.write(to: weights)

        let info = folder.url.appending(path: "dataset/meta/info.json")
        let names = try String(contentsOf: info, encoding: .utf8)
        try names.replacing(#""lift", "#, with: "").write(to: info, atomically: true, encoding: .utf8)
        await refused("gives 3 state names")
        try names.write(to: info, atomically: true, encoding: .utf8)

        try FileManager.default.removeItem(at: folder.url.appending(path: "pretrained_model/policy_preprocessor.json"))
        await refused("older than 0.4")
    }

    @Test
    func `an exported ACT checkpoint serves on the onnx runtime with the same chunk`() async throws {
        let expected = try make("act")
        let out = folder.url.appending(path: "onnx")
        let script = LeRobotEnvironment.root.appending(path: "training/export_act.py").path
        let checkpoint = folder.url.appending(path: "pretrained_model").path
        let dataset = folder.url.appending(path: "dataset").path
        try LeRobotEnvironment.run(
            LeRobotEnvironment.python,
            [script, "--checkpoint", checkpoint, "--dataset", dataset, "--out", out.path]
        )
        let policy = try await TestRuntime.load(directory: out.path, maxBatch: 4)
        #expect(policy.description.runtime == "onnx")
        #expect(policy.description.actionNames == ["left", "right", "lift", "claw_position"])
        let answer = try await policy.run(inputs(expected, policy.description))
        for (number, wanted) in expected.answers.enumerated() {
            // Sums in another order, then claws up to 100.
            expect(try answer.chunks[number].get(), wanted.chunk, "observation \(number)", tolerance: 1e-2)
        }
        await policy.close()
    }

    @Test
    func `recordings follow batch sizes and shapes`() throws {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        try LeRobotEnvironment.run(LeRobotEnvironment.python, [here.appending(path: "test_capture.py").path])
    }

    @Test
    func `bench-gpu runs from the request to its page with a few layers on the CPU`() throws {
        let page = folder.url.appending(path: "page.md")
        let worker = LeRobotEnvironment.root.appending(path: ".build/debug/groot-worker").path
        try LeRobotEnvironment.run(
            "/usr/bin/python3",
            [
                "scripts/bench_gpu.py", "--tiny", "--python", LeRobotEnvironment.python, "--worker", worker,
                "--robots", "1,2", "--seconds", "1", "--page", page.path,
            ]
        )
        let text = try String(contentsOf: page, encoding: .utf8)
        #expect(text.contains("\n| 1 | ") && text.contains("\n| 2 | "), "\(text)")
        #expect(text.contains("LeRobot's own PolicyServer, one robot: p50 "), "\(text)")
    }

    private func inputs(_ expected: Expected, _ description: PolicyDescription) -> [PolicyInput] {
        expected.answers.enumerated().map { number, answer in
            PolicyInput(
                images: description.images.enumerated().map { offset, image in
                    pixels(seed: UInt32(100 * number + offset), count: image.width * image.height * 3)
                },
                state: answer.state,
                task: answer.task
            )
        }
    }

    private func make(_ kind: String) throws -> Expected {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "make_checkpoint.py").path
        try LeRobotEnvironment.run(LeRobotEnvironment.python, [script, kind, folder.url.path])
        let file = folder.url.appending(path: "expected.json")
        return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
    }

    private func load() async throws(WorkerError) -> LeRobotPolicy {
        let options = CheckpointOptions(
            directory: folder.url.appending(path: "pretrained_model").path,
            name: "random",
            maxBatch: 4,
            python: try python(),
            device: "cpu",
            dataset: folder.url.appending(path: "dataset").path,
            inferenceTimeout: .seconds(60)
        )
        return try await LeRobotPolicy.load(options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// GR00T N1.5 finds its tokenizer below HF_LEROBOT_HOME: any executable may stand for Python.
    private func python() throws(WorkerError) -> String {
        let home = folder.url.appending(path: "home").path
        guard FileManager.default.fileExists(atPath: home) else { return LeRobotEnvironment.python }
        let script = folder.url.appending(path: "python")
        do {
            try "#!/bin/sh\nHF_LEROBOT_HOME='\(home)' exec '\(LeRobotEnvironment.python)' \"$@\"\n"
                .write(to: script, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
        } catch {
            throw WorkerError(.badCheckpoint, "no wrapper for Python", cause: error)
        }
        return script.path
    }

    private func refused(_ says: String, sourceLocation: SourceLocation = #_sourceLocation) async {
        let error = await #expect(throws: WorkerError.self, sourceLocation: sourceLocation) { _ = try await load() }
        #expect(error?.code == .badCheckpoint, sourceLocation: sourceLocation)
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }

    /// The generator of make_checkpoint.py.
    private func pixels(seed: UInt32, count: Int) -> [UInt8] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
    }
}
