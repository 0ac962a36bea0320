import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// Every kind of thing that is no file, in the place of every file that a checkpoint is made of.
@Suite(.timeLimit(.minutes(1)))
struct CheckpointFileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-checkpoint") }

    enum Thing: String, CaseIterable, Sendable {
        case pipe, device, directory, loop, dangling, pointer, empty, huge

        /// What is said of it.
        var says: String {
            switch self {
            case .pipe, .device, .directory: "is no regular file"
            case .loop, .dangling: "cannot be read"
            case .pointer: "is a Git LFS pointer, not the file itself: run git lfs pull"
            case .empty, .huge: ""
            }
        }

        func put(at url: URL) throws {
            switch self {
            case .pipe: try run("mkfifo", url.path)
            case .device: try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: "/dev/zero")
            case .directory: try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
            case .loop: try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: url.path)
            case .dangling:
                try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: "/nowhere")
            case .pointer:
                let text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456\n"
                try Data(text.utf8).write(to: url)
            case .empty: try Data().write(to: url)
            case .huge:
                // No block of it is on the disk.
                try run("truncate", "--size=3G", url.path)
            }
        }

        private func run(_ command: String...) throws {
            let process = try Process.run(URL(filePath: "/usr/bin/env"), arguments: command)
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
        }
    }

    /// A whole checkpoint of each runtime, and the files of which it consists.
    enum Kind: String, CaseIterable, Sendable {
        case onnx, lerobot, synthetic

        var files: [String] {
            switch self {
            case .onnx: ["config.json", "model.onnx", "weights.bin"]
            case .lerobot: ["config.json", "model.safetensors", "policy_preprocessor.json", "meta/info.json"]
            case .synthetic: ["config.json", "synthetic.json"]
            }
        }

        func write(to folder: URL) throws {
            let config = try Data(contentsOf: URL(filePath: TestRuntime.fixture("tiny/config.json")))
            switch self {
            case .onnx:
                for file in files {
                    try FileManager.default.copyItem(
                        at: URL(filePath: TestRuntime.fixture("external/\(file)")),
                        to: folder.appending(path: file)
                    )
                }
            case .lerobot:
                try Data("{}".utf8).write(to: folder.appending(path: "config.json"))
                try Data("{}".utf8).write(to: folder.appending(path: "policy_preprocessor.json"))
                try SafetensorsSample.file([]).write(to: folder.appending(path: "model.safetensors"))
                let meta = folder.appending(path: "meta")
                try FileManager.default.createDirectory(at: meta, withIntermediateDirectories: false)
                let info = #"{"fps": 10, "features": {"action": {"names": ["left", "right"]}}}"#
                try Data(info.utf8).write(to: meta.appending(path: "info.json"))
            case .synthetic:
                try config.write(to: folder.appending(path: "config.json"))
                try Data(#"{"batch_ms": {"1": 1}}"#.utf8).write(to: folder.appending(path: "synthetic.json"))
            }
        }
    }

    private func load(_ kind: Kind) async throws {
        let options = CheckpointOptions(
            directory: folder.url.path,
            runtime: CheckpointOptions.Runtime(rawValue: kind.rawValue),
            library: TestRuntime.library,
            maxBatch: 1,
            python: "/usr/bin/python3",
            adapter: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "LeRobot/scripted_policy.py")
                .path,
            dataset: folder.url.path
        )
        let policy = try await PolicyLoader.load(
            options,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        await policy.close()
    }

    @Test(.enabled(if: TestRuntime.canRun, TestRuntime.reason), arguments: Kind.allCases)
    func `whole, it loads`(kind: Kind) async throws {
        try kind.write(to: folder.url)
        try await load(kind)
    }

    @Test(.enabled(if: TestRuntime.canRun, TestRuntime.reason), arguments: Kind.allCases, Thing.allCases)
    func `what is no file, or too large a one, is named and never waited for`(kind: Kind, thing: Thing) async throws {
        try kind.write(to: folder.url)
        for file in kind.files {
            // Weights of an ONNX model may have 3 GB; what they hold is the model's to say.
            if thing == .huge, ["model.safetensors", "weights.bin", "model.onnx"].contains(file) { continue }
            // Only Python reads what they say.
            if thing == .empty, kind == .lerobot, !file.contains("info"), !file.contains("model") { continue }
            let url = folder.url.appending(path: file)
            let good = try Data(contentsOf: url)
            try FileManager.default.removeItem(at: url)
            try thing.put(at: url)
            let error = await #expect(throws: WorkerError.self, "\(file)") { try await load(kind) }
            #expect(error?.code == .badCheckpoint, "\(file)")
            let message = error?.message ?? ""
            #expect(message.contains(url.lastPathComponent), "\(file): \(message)")
            #expect(thing.says.isEmpty || message.contains(thing.says), "\(file): \(message)")
            try FileManager.default.removeItem(at: url)
            try good.write(to: url)
        }
    }

    @Test
    func `JSON that nests a million levels is refused before it is built`() throws {
        let url = folder.url.appending(path: "config.json")
        for open in ["[", #"{"a":"#] {
            let deep = String(repeating: open, count: (1 << 20) / open.utf8.count)
            try Data(deep.utf8).write(to: url)
            let error = #expect(throws: WorkerError.self) { try CheckpointConfig.read(directory: folder.url) }
            #expect(error?.message.contains("deeper than 64 levels") == true, "\(error?.message ?? "")")
        }
        // Brackets in a text are text.
        try CheckpointJSON.checkDepth(Data(#"{"a": "[[[[\"]{{{{"}"#.utf8 + Array(repeating: 0x20, count: 9)), of: "x")
        try CheckpointJSON.checkDepth(Data(("\"" + String(repeating: "[", count: 500) + "\"").utf8), of: "x")
    }

    @Test(arguments: [
        ("[3, 4, 4]", "[3, 600000, 600000]"), ("[3, 4, 4]", "[3, 4294967296, 4294967296]"),
        ("[3, 4, 4]", "[3, 9223372036854775807, 2]"), (#""max_task_bytes": 32"#, #""max_task_bytes": 5000000000"#),
        (#""chunk_size": 4"#, #""chunk_size": 9223372036854775807"#),
        (#""action_period_s": 0.1"#, #""action_period_s": 1e-300"#),
        (#""action_period_s": 0.1"#, #""action_period_s": 1e300"#),
        (#""observation.images.a""#, #""observation.state2""#), (#""observation.images.a""#, #""noise""#),
        (#""left","#, #""\#(String(repeating: "l", count: 200_000))","#),
        (#""groot_mini""#, #""\#(String(repeating: "t", count: 200_000))""#),
    ])
    func `sizes that a config claims are judged before memory is taken`(from: String, to: String) async throws {
        try #require(TestRuntime.canRun)
        let good = try String(contentsOfFile: TestRuntime.fixture("tiny/config.json"), encoding: .utf8)
            .replacing(/\[\s+3,\s+4,\s+4\s+\]/, with: "[3, 4, 4]")
        try Data(contentsOf: URL(filePath: TestRuntime.fixture("tiny/model.onnx")))
            .write(to: folder.url.appending(path: "model.onnx"))
        let bad = good.replacing(from, with: to)
        try #require(bad != good, "\(from)")
        try Data(bad.utf8).write(to: folder.url.appending(path: "config.json"))
        let error = await #expect(throws: WorkerError.self) { try await load(.onnx) }
        #expect(error?.code == .badCheckpoint, "\(error?.message ?? "")")
    }

    @Test
    func `a batch beyond all memory is refused, and so is a name that is none`() throws {
        var policy = ScriptedRunner().description
        policy.images[0].width = 5000
        policy.images[0].height = 5000
        #expect(try policy.batchBytes(1) == policy.rowBytes)
        #expect(throws: WorkerError.self) { try policy.batchBytes(64) }
        #expect(throws: WorkerError.self) { try policy.batchBytes(.max) }
        policy.chunkSize = .max
        #expect(policy.rowBytes == nil)
        policy.chunkSize = -1
        #expect(throws: WorkerError.self) { try policy.checkSizes(of: "x") }
        for name in ["", ".", "..", "a/b", "../../etc", "a\nb", String(repeating: "n", count: 129)] {
            #expect(throws: WorkerError.self, "\(name)") {
                try CheckpointOptions(directory: "/x", name: name).checkName()
            }
        }
        try CheckpointOptions(directory: "/x", name: "act-20k_v1.2 绿").checkName()
    }

    @Test
    func `checked sizes are nil where plain ones would trap`() {
        #expect(CheckedSize.product(3, 4, 5) == 60)
        #expect(CheckedSize.product(0, .max) == 0)
        #expect(CheckedSize.product(Int(UInt32.max), Int(UInt32.max)) == nil)
        #expect(CheckedSize.product(-1, 5) == nil)
        #expect(CheckedSize.product(-1, -1) == nil)
        #expect(CheckedSize.sum(of: [1, 2, 3]) == 6)
        #expect(CheckedSize.sum(of: [.max, 1]) == nil)
        #expect(CheckedSize.sum(of: [1, nil]) == nil)
        #expect(CheckedSize.sum(of: [5, -1]) == nil)
    }
}
