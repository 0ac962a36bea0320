import ArgumentParser
import Foundation
import GrootCore

/// Flags of every subcommand that loads checkpoints.
struct CheckpointFlags: ParsableArguments {
    @Option(
        help: """
            Checkpoint directory: config.json and model.onnx, or any LeRobot pretrained_model directory. May be repeated.
            """
    )
    var checkpoint: [String]

    @Option(help: "Runtime: onnx, lerobot or synthetic (default: what the directory holds).")
    var runtime: String?

    @Option(
        name: .customLong("onnxruntime"),
        help: """
            Path of libonnxruntime.so. Without it: GROOT_ONNXRUNTIME, then .state/onnxruntime/libonnxruntime.so of \
            this directory or a parent, then the system's.
            """
    )
    var library: String?

    @Option(help: "Compute threads inside one operator (default 1).")
    var threads: Int?

    @Option(help: "Requests that may share an inference (default 8).")
    var maxBatch: Int?

    @Option(help: "Python of the LeRobot environment (default python3).")
    var python: String?

    @Option(help: "Python file that loads the policy instead of LeRobot; see docs/worker.md.")
    var pythonPolicy: String?

    @Option(
        help: """
            Device: auto, cpu, cuda, cuda:1 (default auto); ONNX also tensorrt, tensorrt:1, LeRobot also mps. auto takes \
            the CPU when there is no GPU.
            """
    )
    var device: String?

    @Option(
        help: """
            Folder in which TensorRT keeps its engines (default: tensorrt in CACHE_DIRECTORY or in ~/.cache/groot-worker).
            """
    )
    var engineCache: String?

    @Flag(help: "torch.compile LeRobot policies: minutes of loading for some per cent of speed.")
    var compile = false

    @Option(help: "LeRobot data set that names a policy's states and actions and its rate (a folder or its info.json).")
    var dataset: String?

    @Option(help: "Rows per second of LeRobot policies whose data set is not at hand; checked against the checkpoint.")
    var fps: Double?

    @Option(
        help: "Seconds after which an inference counts as hanging (default 10; ONNX: at least 4 times the warm-up's)."
    )
    var inferenceTimeout: Double?

    @Option(help: "Seconds that loading or warming up a policy may take (default 900).")
    var loadTimeout: Double?

    func validate() throws {
        if checkpoint.isEmpty { throw ValidationError("--checkpoint DIR is missing.") }
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads is \(threads), expected 1 to 256.")
        }
        if let maxBatch, !(1...64).contains(maxBatch) {
            throw ValidationError("--max-batch is \(maxBatch), expected 1 to 64.")
        }
        if let runtime, CheckpointOptions.Runtime(rawValue: runtime) == nil {
            throw ValidationError("--runtime is \(runtime), expected onnx, lerobot or synthetic.")
        }
        if let fps, !(0.1...1000).contains(fps) {
            throw ValidationError("--fps is \(fps), expected 0.1 to 1000 rows per second.")
        }
        for (flag, value) in [("--inference-timeout", inferenceTimeout), ("--load-timeout", loadTimeout)] {
            if let value, !(0.1...86_400).contains(value) {
                throw ValidationError("\(flag) is \(value), expected 0.1 to 86400 seconds.")
            }
        }
    }

    /// For the first directory; `with(directory:name:runtime:)` gives the others.
    var options: CheckpointOptions {
        CheckpointOptions(
            directory: checkpoint.first ?? "",
            runtime: runtime.flatMap(CheckpointOptions.Runtime.init),
            library: library,
            threads: threads ?? 1,
            maxBatch: maxBatch ?? 8,
            python: python ?? "python3",
            adapter: pythonPolicy,
            device: device ?? "auto",
            engineCache: engineCache,
            compile: compile,
            dataset: dataset,
            rowsPerSecond: fps,
            inferenceTimeout: .seconds(inferenceTimeout ?? 10),
            loadTimeout: .seconds(loadTimeout ?? 900)
        )
    }
}

/// Ends the process with the error's message and the exit code that fits it.
///
/// With a thread that hangs in a library there is no orderly end: the destructors of its globals would wait for it.
func reported(_ error: WorkerError) -> ExitCode {
    FileHandle.standardError.write(Data("groot-worker: \(ReadableText.clipped("\(error)", to: 4096))\n".utf8))
    if error.code == .runtimeHung { _exit(ProcessExit.failed.rawValue) }
    return switch error.code {
    case .badCheckpoint, .runtimeMissing, .overBudget: ExitCode(ProcessExit.badInput.rawValue)
    default: ExitCode(ProcessExit.failed.rawValue)
    }
}

func reported(_ error: ListenError) -> ExitCode {
    FileHandle.standardError.write(Data("groot-worker: \(error)\n".utf8))
    return ExitCode(ProcessExit.cannotListen.rawValue)
}
