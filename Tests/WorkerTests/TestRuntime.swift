import Foundation
import Logging
import Testing
import Worker

/// The real ONNX Runtime for tests, and the fixtures it loads.
enum TestRuntime {
    /// Path of the library, or nil when this machine has none.
    static let library: String? = LibrarySearch.candidates(
        flag: nil,
        environment: ProcessInfo.processInfo.environment,
        currentDirectory: FileManager.default.currentDirectoryPath,
        exists: { FileManager.default.fileExists(atPath: $0) }
    )
    .first { FileManager.default.fileExists(atPath: $0) }

    /// Under CI a missing library fails in the tests that load a model; elsewhere they are skipped, visibly.
    static let canRun = library != nil || ProcessInfo.processInfo.environment["CI"] == "true"
    static let reason: Comment = "no libonnxruntime.so: set GROOT_ONNXRUNTIME or put it into .state/onnxruntime/"

    static func fixture(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name)").path
    }

    static func load(_ name: String, maxBatch: Int = 2) async throws(WorkerError) -> OnnxPolicy {
        try await load(directory: fixture(name), maxBatch: maxBatch)
    }

    static func load(directory: String, maxBatch: Int = 2) async throws(WorkerError) -> OnnxPolicy {
        try await OnnxPolicy.load(
            CheckpointOptions(directory: directory, library: library, maxBatch: maxBatch),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }
}
