import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import SwiftProtobuf
import Testing

@testable import Worker

/// Minutes: a run that was asked for may take a day.
private let timeLimit = ProcessInfo.processInfo.environment["GROOT_FUZZ_ITERATIONS"] == nil ? 5 : 24 * 60

/// Broken input of every kind into what reads requests and checkpoints: it is taken or refused, and nothing crashes.
///
/// Seeded, so that a failure repeats: `make fuzz SEED=N ITERATIONS=1`. Inputs that once failed, and some that must be
/// refused, lie in Tests/Fuzz/{request,config,safetensors,onnx} and are replayed first.
@Suite(.timeLimit(.minutes(timeLimit)))
struct WorkerFuzzTests {
    enum Target: String, CaseIterable, Sendable { case request, config, safetensors, onnx }

    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-fuzz") }

    @Test(arguments: Target.allCases)
    func mutatedInputsHarmNobody(target: Target) throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["GROOT_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["GROOT_FUZZ_ITERATIONS"].flatMap { UInt64($0) } ?? 400
        let corpus = try Self.corpus(target)
        for seed in first..<first + count {
            var random = SplitMix(state: seed)
            try feed(Self.mutated(corpus, &random), to: target, "seed \(seed)")
        }
    }

    @Test(arguments: Target.allCases)
    func pastFailuresAndTheCorpusReplay(target: Target) throws {
        for (index, input) in try Self.corpus(target).enumerated() { try feed(input, to: target, "corpus \(index)") }
        let kept = RepositoryRoot.url.appending(path: "Tests/Fuzz/\(target.rawValue)")
        let files = try FileManager.default.contentsOfDirectory(at: kept, includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files { try feed(Array(try Data(contentsOf: file)), to: target, file.lastPathComponent) }
    }

    /// Whole inputs that mutation starts from.
    private static func corpus(_ target: Target) throws -> [[UInt8]] {
        switch target {
        case .request:
            var continued = Groot_V1_InferRequest.tiny()
            continued.prefix.rows = 2
            continued.prefix.values = [1, 2, 3, 4, 5, 6]
            continued.images[0].encoding = .jpeg
            return try [Groot_V1_InferRequest.tiny(), continued, .scripted(robot: "r1")].map {
                try $0.serializedBytes()
            }
        case .config: return [Array(try Data(contentsOf: URL(filePath: TestRuntime.fixture("tiny/config.json"))))]
        case .safetensors:
            return [
                Array(
                    SafetensorsSample.file(
                        [("a", "F32", "[2, 3]", "[0, 24]"), ("b", "U8", "[4]", "[24, 28]")],
                        bytes: 28
                    )
                ),
                Array(SafetensorsSample.file(header: "{}")),
            ]
        case .onnx:
            return try ["tiny", "external", "hanging"].map {
                Array(try Data(contentsOf: URL(filePath: TestRuntime.fixture("\($0)/model.onnx"))))
            }
        }
    }

    private static let numbers = [
        "-1", "0", "4294967296", "9223372036854775807", "-9223372036854775808", "1e308", "600000",
    ]

    private static func mutated(_ corpus: [[UInt8]], _ random: inout SplitMix) -> [UInt8] {
        var bytes = corpus[Int.random(in: 0..<corpus.count, using: &random)]
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            if bytes.isEmpty { bytes = [0] }
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)]
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
            case 4: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...9, using: &random)))
            case 5: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 40)], at: at)
            case 6: bytes.insert(contentsOf: ProtobufSample.varint(.random(in: 0...(.max), using: &random)), at: at)
            default:
                // Another number in the place of one, where there is one.
                guard let start = bytes[at...].firstIndex(where: { (0x30...0x39).contains($0) }) else { continue }
                let end = bytes[start...].firstIndex { !(0x30...0x39).contains($0) } ?? bytes.count
                let number = numbers[Int.random(in: 0..<numbers.count, using: &random)]
                bytes.replaceSubrange(start..<end, with: Array(number.utf8))
            }
        }
        return bytes
    }

    /// Refusals are answers; a trap ends the test process, whose last line names the input.
    private func feed(_ input: [UInt8], to target: Target, _ what: String) throws {
        do {
            switch target {
            case .request: try feedRequest(input)
            case .config:
                try Data(input).write(to: folder.url.appending(path: "config.json"))
                let described = try CheckpointConfig.read(directory: folder.url)
                    .description(name: "fuzz", sha256: "00", file: "config.json")
                _ = try described.batchBytes(8)
                _ = PolicyInput.zeros(for: described)
                _ = try ArenaLayout(policy: described, maxBatch: 8, path: "/x")
            case .safetensors:
                let url = folder.url.appending(path: "model.safetensors")
                try Data(input).write(to: url)
                try SafetensorsFile.check(url)
            case .onnx:
                try Data(input).write(to: folder.url.appending(path: "model.onnx"))
                #expect(try OnnxFile(directory: folder.url).weightBytes >= input.count, "\(what)")
            }
        } catch let error as WorkerError {
            #expect([.badRequest, .badCheckpoint].contains(error.code), "\(what)")
        }
    }

    private func feedRequest(_ input: [UInt8]) throws {
        let timed = try TimedRequestDeserializer().deserialize(input)
        let request = try timed.message.get()
        for policy in Self.policies {
            do throws(WorkerError) {
                let read = try PolicyInput(request, for: policy)
                // Whatever was taken fits the memory that was set aside for it.
                for (pixels, image) in zip(read.images, policy.images) {
                    #expect(pixels.count == image.width * image.height * 3)
                }
                #expect(read.state.count == policy.stateNames.count)
                #expect(read.prefix.count <= policy.chunkSize * policy.actionNames.count)
                #expect(read.taskBytes.count <= policy.maxTaskBytes)
            } catch {
                #expect(error.code == .badRequest)
                #expect(ReadableText.clipped(error.message).utf8.count <= ReadableText.statusBytes)
            }
        }
    }

    private static let policies: [PolicyDescription] = {
        let tiny = PolicyDescription(
            checkpoint: "tiny",
            policyType: "t",
            sha256: "00",
            runtime: "onnx",
            images: ["a", "b"].map { .init(key: "observation.images.\($0)", width: 4, height: 4) },
            stateNames: ["left", "right", "claw"],
            actionNames: ["left", "right", "claw_position"],
            chunkSize: 4,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 32
        )
        return [tiny, ScriptedRunner().description]
    }()
}

/// A small seeded generator (SplitMix64).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
