import Foundation
import GrootCore

/// What to load and how.
package struct CheckpointOptions: Sendable {
    package enum Runtime: String, Sendable, CaseIterable {
        case onnx
        case lerobot
        case synthetic
    }

    package var directory: String
    /// What requests select; the directory's name unless given.
    package var name: String
    /// Nil looks into the directory.
    package var runtime: Runtime?
    /// Path of the ONNX Runtime library; nil searches.
    package var library: String?
    /// Compute threads inside one operator.
    package var threads: Int
    package var maxBatch: Int
    /// The Python of the LeRobot environment.
    package var python: String
    /// A Python file that loads the policy instead of LeRobot (see Python/child.py).
    package var adapter: String?
    /// `auto`, `cpu`, `cuda`, `cuda:1`; for ONNX also `tensorrt`, for LeRobot `mps`.
    package var device: String
    /// Folder of TensorRT's engines; nil is the cache folder of the service or the user.
    package var engineCache: String?
    /// Bound tensors in memory that the session's device allocates, as on a GPU. On the CPU only to try that path.
    package var stagesTensors = false
    /// `torch.compile` before CUDA graphs are captured: minutes of loading for some per cent.
    package var compile: Bool
    /// A LeRobot data set (`meta/info.json` or the folder above) that names states and actions and tells the rate.
    package var dataset: String?
    /// Rows per second, when nothing else says so; checked when something does.
    package var rowsPerSecond: Double?
    package var inferenceTimeout: Duration
    package var loadTimeout: Duration
    /// Bytes that are left for this checkpoint, looked at before memory is taken; nil sets no limit.
    package var memoryLeft: Int?
    /// Longest name, which travels in headers and names folders.
    private static let longestName = 128

    package init(
        directory: String,
        name: String? = nil,
        runtime: Runtime? = nil,
        library: String? = nil,
        threads: Int = 1,
        maxBatch: Int = 8,
        python: String = "python3",
        adapter: String? = nil,
        device: String = "auto",
        engineCache: String? = nil,
        compile: Bool = false,
        dataset: String? = nil,
        rowsPerSecond: Double? = nil,
        inferenceTimeout: Duration = .seconds(10),
        loadTimeout: Duration = .seconds(900)
    ) {
        self.directory = directory
        let folder = URL(filePath: directory, directoryHint: .isDirectory).standardizedFileURL
        self.name = name ?? Self.defaultName(folder)
        self.runtime = runtime
        self.library = library
        self.threads = threads
        self.maxBatch = maxBatch
        self.python = python
        self.adapter = adapter
        self.device = device
        self.engineCache = engineCache
        self.compile = compile
        self.dataset = dataset
        self.rowsPerSecond = rowsPerSecond
        self.inferenceTimeout = inferenceTimeout
        self.loadTimeout = loadTimeout
    }

    /// The same settings with what is left of a budget.
    package func limited(to bytes: Int?) -> CheckpointOptions {
        var other = self
        other.memoryLeft = bytes
        return other
    }

    /// - Throws: `badCheckpoint` when requests could not select the name, or a folder could not have it.
    package func checkName() throws(WorkerError) {
        guard !name.isEmpty, name.utf8.count <= Self.longestName, name != ".", name != "..",
            !name.contains("/"), ReadableText.clipped(name) == name
        else {
            throw WorkerError(
                .badCheckpoint,
                "\"\(ReadableText.clipped(name, to: ReadableText.nameBytes))\" is no name for a checkpoint: expected 1 to"
                    + " \(Self.longestName) bytes without control characters and slashes."
            )
        }
    }

    /// - Throws: `overBudget` when so many bytes are more than what is left.
    package func admit(bytes: Int) throws(WorkerError) {
        guard let memoryLeft, bytes > memoryLeft else { return }
        let more = (bytes - max(0, memoryLeft) + (1 << 20) - 1) >> 20
        throw WorkerError(
            .overBudget,
            "\(name) needs \(bytes >> 20) MiB, \(more) MiB more than the memory budget leaves. Unload another checkpoint, or"
                + " raise --memory-budget."
        )
    }

    /// The same settings for another directory.
    package func with(directory: String, name: String?, runtime: Runtime?) -> CheckpointOptions {
        var other = self
        other.directory = directory
        let folder = URL(filePath: directory, directoryHint: .isDirectory).standardizedFileURL
        other.name = name ?? Self.defaultName(folder)
        other.runtime = runtime
        return other
    }

    /// LeRobot's layout `RUN/checkpoints/STEP/pretrained_model` would give every checkpoint one name.
    private static func defaultName(_ folder: URL) -> String {
        guard folder.lastPathComponent == "pretrained_model" else { return folder.lastPathComponent }
        let step = folder.deletingLastPathComponent()
        let checkpoints = step.deletingLastPathComponent()
        guard checkpoints.lastPathComponent == "checkpoints" else { return step.lastPathComponent }
        return "\(checkpoints.deletingLastPathComponent().lastPathComponent)-\(step.lastPathComponent)"
    }
}
