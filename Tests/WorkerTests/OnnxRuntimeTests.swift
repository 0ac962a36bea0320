import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import Worker

/// Which provider is tried, from the flag and from what a library offers.
@Suite
struct ExecutionProviderTests {
    private static let gpu = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    private static let cpu = ["AzureExecutionProvider", "CPUExecutionProvider"]

    private func attempts(
        _ flag: String,
        _ offered: [String] = gpu,
        table: Int = 32
    ) throws(WorkerError) -> [ExecutionProvider] {
        try ExecutionProvider.attempts(flag: flag, offered: offered, table: table, library: "/lib/ort.so")
    }

    @Test
    func `the best is tried first, and only auto falls back to the CPU`() throws {
        #expect(try attempts("auto") == [.cuda(device: 0, graph: true), .cuda(device: 0, graph: false), .cpu])
        #expect(try attempts("auto", Self.cpu) == [.cpu])
        #expect(try attempts("cpu") == [.cpu])
        #expect(try attempts("cuda") == [.cuda(device: 0, graph: true), .cuda(device: 0, graph: false)])
        #expect(try attempts("cuda:3").map(\.device) == [3, 3])
        #expect(try attempts("tensorrt:1") == [.tensorRT(device: 1)])
        // One graph for all batch sizes would answer with the wrong batch.
        #expect(try attempts("cuda", table: 17) == [.cuda(device: 0, graph: false)])
    }

    @Test(arguments: ["cuda", "cuda:1", "tensorrt"])
    func `what the library lacks is an error that says what it offers and what to install`(flag: String) {
        let error = #expect(throws: WorkerError.self) { try attempts(flag, Self.cpu) }
        #expect(error?.code == .runtimeMissing)
        for part in ["--device \(flag)", "/lib/ort.so", "CPUExecutionProvider", "onnxruntime-gpu", "--device cpu"] {
            #expect(error?.message.contains(part) == true, "\(part): \(error?.message ?? "")")
        }
    }

    @Test(arguments: ["mps", "cuda:x", "cuda:-1", "auto:1", "gpu", ""])
    func `a device that is none is refused with the list`(flag: String) {
        let error = #expect(throws: WorkerError.self) { try attempts(flag) }
        #expect(error?.message.contains("expected auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N") == true)
    }

    @Test
    func `TensorRT builds one engine for batches of 1 to the largest`() {
        let options = ExecutionProvider.tensorRTOptions(
            device: 2,
            cache: "/cache",
            inputs: [
                TensorSpec(name: "observation.state", elementType: .float32, shape: [nil, 3]),
                TensorSpec(name: "prefix_rows", elementType: .int64, shape: [nil]),
            ],
            maxBatch: 8
        )
        let values = Dictionary(uniqueKeysWithValues: options.map { ($0.key, $0.value) })
        #expect(values["device_id"] == "2")
        #expect(values["trt_fp16_enable"] == "1")
        #expect(values["trt_engine_cache_path"] == "/cache")
        #expect(values["trt_profile_min_shapes"] == "observation.state:1x3,prefix_rows:1")
        #expect(values["trt_profile_max_shapes"] == "observation.state:8x3,prefix_rows:8")
        let cuda = ExecutionProvider.cudaOptions(device: 1, graph: true)
        #expect(cuda.contains { $0 == ("enable_cuda_graph", "1") } && cuda.contains { $0 == ("device_id", "1") })
    }

    @Test
    func `engines are kept where the flag, the service or the user says`() throws {
        let folder = try TemporaryDirectory()
        let path = folder.url.path
        func cache(_ flag: String?, _ environment: [String: String]) throws -> String {
            try EngineCache.folder(flag, checkpoint: "act", environment: environment)
        }
        #expect(try cache(path + "/flag", ["CACHE_DIRECTORY": path]) == path + "/flag/act")
        #expect(try cache(nil, ["CACHE_DIRECTORY": path, "HOME": "/"]) == path + "/tensorrt/act")
        #expect(try cache(nil, ["HOME": path]) == path + "/.cache/groot-worker/tensorrt/act")
        try Data().write(to: folder.url.appending(path: "file"))
        let error = #expect(throws: WorkerError.self) { try cache(path + "/file", [:]) }
        #expect(error?.message.contains("--engine-cache") == true)
    }

    @Test
    func `a CUDA driver that is not there is named`() {
        let error = #expect(throws: WorkerError.self) { try CUDADriver(path: "/nowhere/libcuda.so.1") }
        #expect(error?.code == .runtimeMissing)
        #expect(error?.message.contains("/nowhere/libcuda.so.1") == true, "\(error?.message ?? "")")
        // A library without the driver's entries.
        let other = #expect(throws: WorkerError.self) { try CUDADriver(path: "libc.so.6") }
        #expect(other?.message.contains("libc.so.6 lacks cuMemcpyHtoD_v2") == true, "\(other?.message ?? "")")
    }

    @Test(arguments: [0, 700])
    func `a GPU that answers every call with an error is lost`(result: Int32) throws {
        let folder = try TemporaryDirectory()
        let source = folder.url.appending(path: "driver.c").path
        let library = folder.url.appending(path: "libcuda.so.1").path
        let code = """
            int cuMemcpyHtoD_v2(void) { return \(result); }
            int cuMemcpyDtoH_v2(void) { return \(result); }
            int cuStreamSynchronize(void) { return \(result); }
            int cuMemGetInfo_v2(void) { return \(result); }
            int cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; return 0; }
            """
        try code.write(toFile: source, atomically: true, encoding: .utf8)
        let compiler = try Process.run(
            URL(filePath: "/usr/bin/env"),
            arguments: ["clang", "-shared", "-fPIC", "-o", library, source]
        )
        compiler.waitUntilExit()
        try #require(compiler.terminationStatus == 0, "the compiler that comes with Swift")
        let driver = try CUDADriver(path: library)
        #expect(driver.isLost == (result != 0))
        #expect((driver.freeBytes == nil) == (result != 0))
    }
}

/// The real library on the CPU: bindings, other precisions, and a GPU that is not there.
@Suite(.serialized, .timeLimit(.minutes(1)), .enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct OnnxRuntimeTests {
    private static let maxBatch = 4

    private func load(
        _ name: String,
        _ change: (inout CheckpointOptions) -> Void = { _ in }
    ) async throws(WorkerError) -> OnnxPolicy {
        var options = CheckpointOptions(
            directory: TestRuntime.fixture(name),
            library: TestRuntime.library,
            maxBatch: Self.maxBatch
        )
        change(&options)
        return try await OnnxPolicy.load(options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Robots that differ in everything that the policy reads.
    private func inputs(_ policy: PolicyDescription, count: Int) -> [PolicyInput] {
        (0..<count).map { robot in
            var input = PolicyInput.zeros(for: policy)
            input.images = policy.images.enumerated().map { index, image in
                Array(repeating: UInt8(40 * robot + 10 * index), count: image.width * image.height * 3)
            }
            input.state = policy.stateNames.indices.map { Float(robot) - 0.3 * Float($0) }
            input.task = String(repeating: "a", count: robot + 1)
            input.noiseSeed = UInt64(robot)
            return input
        }
    }

    private func chunks(_ policy: OnnxPolicy, _ batch: [PolicyInput]) async throws -> [[Float]] {
        try await policy.run(batch).chunks.map { try $0.get() }
    }

    private func worst(_ one: [[Float]], _ other: [[Float]]) -> Float {
        zip(one.joined(), other.joined()).map { abs($0 - $1) }.max() ?? .infinity
    }

    @Test
    func `tensors in memory of the device give the same answers, at every batch size, in any order`() async throws {
        let direct = try await load("network")
        let staged = try await load("network") { $0.stagesTensors = true }
        for size in [4, 1, 3, 2, 4, 1] {
            let batch = inputs(direct.description, count: size)
            let answers = try await chunks(direct, batch)
            #expect(try await chunks(staged, batch) == answers, "batch of \(size)")
            // A row is its own, whatever ran before and beside it.
            for (row, input) in batch.enumerated() {
                let alone = try await chunks(direct, [input])
                #expect(worst(alone, [answers[row]]) < 1e-5)
            }
        }
        #expect(staged.memoryBytes == direct.memoryBytes)
        let rowBytes = 2 * 48 + 12 + 8 * 32 + 48 + 48 + 8 + 8 + 48
        let model = TestRuntime.fixture("network") + "/model.onnx"
        let bytes = try #require(try FileManager.default.attributesOfItem(atPath: model)[.size] as? Int)
        #expect(direct.memoryBytes == 2 * bytes + Self.maxBatch * rowBytes)
        await direct.close()
        await staged.close()
    }

    /// 8-bit weights and activations of a network whose answers lie between -2 and 2: two per cent of that.
    @Test
    func `an int8-quantised model answers what the float model answers, within 0.08`() async throws {
        let whole = try await load("network")
        let quantised = try await load("network-int8")
        #expect(whole.description.sha256 != quantised.description.sha256)
        let batch = inputs(whole.description, count: Self.maxBatch)
        let difference = worst(try await chunks(whole, batch), try await chunks(quantised, batch))
        #expect(difference > 0, "the quantised model is the float model")
        #expect(difference < 0.08, "\(difference)")
    }

    /// Numbers of 10 have steps of 1/128 in half precision.
    @Test
    func `a model with float16 inputs and outputs answers what the float32 model answers, within 0.02`() async throws {
        let whole = try await load("tiny")
        let half = try await load("half")
        let batch = inputs(whole.description, count: Self.maxBatch)
        let difference = worst(try await chunks(whole, batch), try await chunks(half, batch))
        #expect(difference > 0, "the model is in float32")
        #expect(difference < 0.02, "\(difference)")
    }

    @Test
    func `auto runs on the CPU where there is no GPU, and says so`() async throws {
        let policy = try await load("tiny")
        #expect(policy.version.contains("on the CPU (--device auto: "), "\(policy.version)")
        #expect(policy.version.contains("CPUExecutionProvider"), "\(policy.version)")
        let plain = try await load("tiny") { $0.device = "cpu" }
        #expect(plain.version.hasSuffix("on the CPU"))
    }

    @Test
    func `a GPU that was asked for and is not offered is an error`() async throws {
        let error = await #expect(throws: WorkerError.self) { try await load("tiny") { $0.device = "cuda" } }
        #expect(error?.code == .runtimeMissing)
        #expect(error?.message.contains("offers only") == true, "\(error?.message ?? "")")
    }
}

/// Rates of robots against rates of checkpoints.
@Suite
struct RateCheckTests {
    @Test
    func `a mismatch is said once per robot, and counted every time`() {
        var check = RateCheck()
        let policy = ScriptedRunner(checkpoint: "one").description
        #expect(check.requestArrived(robot: "r1", period: nil, policy: policy) == .fits)
        #expect(check.requestArrived(robot: "r1", period: .milliseconds(100), policy: policy) == .fits)
        guard case .differs(let message?) = check.requestArrived(robot: "r1", period: .milliseconds(50), policy: policy)
        else {
            Issue.record("50 ms is not 100 ms")
            return
        }
        #expect(message.contains("r1 executes rows 50.0 ms apart, one was made for 100.0 ms"), "\(message)")
        #expect(check.requestArrived(robot: "r1", period: .milliseconds(50), policy: policy) == .differs(message: nil))
        if case .fits = check.requestArrived(robot: "r2", period: .milliseconds(50), policy: policy) {
            Issue.record("r2 has the same problem")
        }
        var thirty = policy
        thirty.actionPeriod = .nanoseconds(33_333_333)
        #expect(check.requestArrived(robot: "r1", period: .milliseconds(33), policy: thirty) == .fits)
    }

    @Test
    func `what is remembered is bounded`() {
        var check = RateCheck()
        let policy = ScriptedRunner(checkpoint: "one").description
        for robot in 0...RateCheck.maximumRobots {
            _ = check.requestArrived(robot: "r\(robot)", period: .milliseconds(50), policy: policy)
        }
        // The first was forgotten with the rest, so it is said again.
        if case .differs(nil) = check.requestArrived(robot: "r0", period: .milliseconds(50), policy: policy) {
            Issue.record("r0 is still remembered")
        }
    }
}
