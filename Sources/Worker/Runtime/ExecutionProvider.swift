/// What of ONNX Runtime runs a model, chosen from `--device` and from what the loaded library offers. Pure.
package enum ExecutionProvider: Hashable, Sendable, CustomStringConvertible {
    case cpu
    /// - Parameter graph: each batch size is captured as one CUDA graph at warm-up and replayed from then on.
    case cuda(device: Int, graph: Bool)
    case tensorRT(device: Int)

    /// The first table (ONNX Runtime 1.18) whose CUDA provider keeps one graph per id. An older one would replay the
    /// graph of one batch size for all of them.
    package static let graphTable = 18

    package var description: String {
        switch self {
        case .cpu: "on the CPU"
        case .cuda(let device, true): "on CUDA device \(device), one CUDA graph per batch size"
        case .cuda(let device, false): "on CUDA device \(device)"
        case .tensorRT(let device): "on CUDA device \(device) with TensorRT in float16"
        }
    }

    /// Nil on the CPU.
    package var device: Int? {
        switch self {
        case .cpu: nil
        case .cuda(let device, _), .tensorRT(let device): device
        }
    }

    package var usesGraph: Bool { if case .cuda(_, true) = self { true } else { false } }

    /// What to try, the best first. The next one is tried when a model cannot be loaded or warmed up with the one before.
    ///
    /// - Parameters:
    ///   - flag: `auto`, `cpu`, `cuda`, `cuda:N`, `tensorrt` or `tensorrt:N`.
    ///   - offered: names as ONNX Runtime gives them, e.g. `CUDAExecutionProvider`.
    /// - Throws: `runtimeMissing` when the library lacks what was asked for, `badCheckpoint` when the flag is none of
    ///   these.
    package static func attempts(
        flag: String,
        offered: [String],
        table: Int,
        library: String
    ) throws(WorkerError) -> [ExecutionProvider] {
        let parts = flag.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let number = parts.count < 2 ? 0 : Int(parts[1]) ?? -1
        func require(_ provider: String) throws(WorkerError) {
            guard !offered.contains(provider) else { return }
            throw WorkerError(
                .runtimeMissing,
                "--device \(flag) needs \(provider), but \(library) offers only \(offered.joined(separator: ", "))."
                    + " Name the libonnxruntime.so of the onnxruntime-gpu wheel with --onnxruntime (its provider"
                    + " libraries lie beside it), or take --device cpu."
            )
        }
        func cuda(_ device: Int) -> [ExecutionProvider] {
            (table >= graphTable ? [.cuda(device: device, graph: true)] : []) + [.cuda(device: device, graph: false)]
        }
        switch parts.first {
        case "auto" where parts.count == 1:
            return (offered.contains("CUDAExecutionProvider") ? cuda(0) : []) + [.cpu]
        case "cpu" where parts.count == 1:
            return [.cpu]
        case "cuda" where (0...127).contains(number):
            try require("CUDAExecutionProvider")
            return cuda(number)
        case "tensorrt" where (0...127).contains(number):
            try require("TensorrtExecutionProvider")
            return [.tensorRT(device: number)]
        default:
            throw WorkerError(
                .badCheckpoint,
                "--device \(flag) is none for an ONNX model: expected auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N."
            )
        }
    }

    /// Options of the CUDA provider, by ONNX Runtime's names.
    package static func cudaOptions(device: Int, graph: Bool) -> [(key: String, value: String)] {
        [
            ("device_id", "\(device)"),
            // Memory in the sizes asked for: several checkpoints share the GPU.
            ("arena_extend_strategy", "kSameAsRequested"),
            ("enable_cuda_graph", graph ? "1" : "0"),
        ]
    }

    /// Options of the TensorRT provider: engines in half precision, kept between starts, since building one takes
    /// minutes. One engine for all batch sizes, by a profile from one row to `maxBatch`.
    package static func tensorRTOptions(
        device: Int,
        cache: String,
        inputs: [TensorSpec],
        maxBatch: Int
    ) -> [(key: String, value: String)] {
        func profile(_ batch: Int) -> String {
            inputs.map { input in
                let sizes = [batch] + input.shape.dropFirst().map { $0 ?? 1 }
                return "\(input.name):\(sizes.map(String.init).joined(separator: "x"))"
            }
            .joined(separator: ",")
        }
        return [
            ("device_id", "\(device)"), ("trt_fp16_enable", "1"),
            ("trt_engine_cache_enable", "1"), ("trt_engine_cache_path", cache),
            ("trt_timing_cache_enable", "1"), ("trt_timing_cache_path", cache),
            ("trt_profile_min_shapes", profile(1)), ("trt_profile_opt_shapes", profile(maxBatch)),
            ("trt_profile_max_shapes", profile(maxBatch)),
        ]
    }
}
