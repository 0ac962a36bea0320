import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// What every runtime keeps, whatever computes: one suite for all of them.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct RuntimeConformanceTests {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case onnx, onnxStaged, onnxHalf, onnxInt8, synthetic, pythonChild

        var testDescription: String { rawValue }
    }

    @Test(arguments: Kind.allCases)
    func `batches of every size, in order, each row its own, again and again`(kind: Kind) async throws {
        let folder = try TemporaryDirectory(prefix: "groot-conformance")
        guard let policy = try await load(kind, folder: folder.url) else { return }
        let description = policy.description
        #expect(description.maxBatch == 2)
        #expect(description.batchTimes.map(\.batch) == [1, 2])
        #expect(description.sha256.count == 64)
        #expect(policy.unavailableReason == nil)
        #expect(!policy.version.isEmpty)

        func input(_ value: Float) -> PolicyInput {
            var input = PolicyInput.zeros(for: description)
            input.task = "go"
            input.state = description.stateNames.indices.map { $0 == 0 ? value : 0.25 }
            return input
        }
        let count = description.chunkSize * description.actionNames.count
        let ones = try #require(try await policy.run([input(1)]).chunks.first).get()
        let twos = try #require(try await policy.run([input(2)]).chunks.first).get()
        #expect(ones.count == count && twos.count == count)
        #expect(ones != twos, "the state has no influence")
        for _ in 0..<3 {
            let both = try await policy.run([input(2), input(1)])
            #expect(both.chunks.count == 2)
            // Dynamic quantisation takes its scale from the whole batch.
            let tolerance: Float = kind == .onnxInt8 ? 0.05 : 1e-4
            #expect(zip(try both.chunks[0].get(), twos).allSatisfy { abs($0 - $1) < tolerance })
            #expect(zip(try both.chunks[1].get(), ones).allSatisfy { abs($0 - $1) < tolerance })
            #expect(both.preprocess >= .zero && both.infer > .zero && both.postprocess >= .zero)
        }
        await policy.close()
        if kind != .synthetic {
            await #expect(throws: WorkerError.self, "nothing runs after close") { try await policy.run([input(1)]) }
        }
    }

    private func load(_ kind: Kind, folder: URL) async throws -> (any PolicyRuntime)? {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        var options = CheckpointOptions(
            directory: TestRuntime.fixture("tiny"),
            library: TestRuntime.library,
            maxBatch: 2
        )
        switch kind {
        case .onnx, .onnxStaged, .onnxHalf, .onnxInt8:
            guard TestRuntime.canRun else { return nil }
            options.stagesTensors = kind == .onnxStaged
            if kind == .onnxHalf { options.directory = TestRuntime.fixture("half") }
            if kind == .onnxInt8 { options.directory = TestRuntime.fixture("network-int8") }
        case .synthetic:
            let config = URL(filePath: TestRuntime.fixture("tiny")).appending(path: "config.json")
            try FileManager.default.copyItem(at: config, to: folder.appending(path: "config.json"))
            try Data(#"{"batch_ms": {"1": 1, "2": 1.5}, "jitter": 0.1}"#.utf8)
                .write(to: folder.appending(path: "synthetic.json"))
            options = options.with(directory: folder.path, name: nil, runtime: nil)
        case .pythonChild:
            try Data("{}".utf8).write(to: folder.appending(path: "config.json"))
            options = options.with(directory: folder.path, name: nil, runtime: .lerobot)
            options.adapter =
                URL(filePath: #filePath).deletingLastPathComponent().appending(path: "LeRobot/scripted_policy.py").path
        }
        return try await PolicyLoader.load(options, logger: logger)
    }
}
