import ArgumentParser
import Foundation
import GrootCore

/// Flags of every subcommand that loads a checkpoint.
struct CheckpointFlags: ParsableArguments {
    @Option(help: "Checkpoint directory: config.json and model.onnx.")
    var checkpoint: String

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

    func validate() throws {
        if let threads, !(1...256).contains(threads) {
            throw ValidationError("--threads is \(threads), expected 1 to 256.")
        }
        if let maxBatch, !(1...64).contains(maxBatch) {
            throw ValidationError("--max-batch is \(maxBatch), expected 1 to 64.")
        }
    }

    var options: CheckpointOptions {
        CheckpointOptions(directory: checkpoint, library: library, threads: threads ?? 1, maxBatch: maxBatch ?? 8)
    }
}

/// Ends the process with the error's message and the exit code that fits it.
func reported(_ error: WorkerError) -> ExitCode {
    FileHandle.standardError.write(Data("groot-worker: \(error)\n".utf8))
    return switch error.code {
    case .badCheckpoint, .runtimeMissing: ExitCode(ProcessExit.badInput.rawValue)
    default: ExitCode(ProcessExit.failed.rawValue)
    }
}
