import Foundation

/// Where TensorRT keeps the engines that it built, so that the next start takes seconds instead of minutes.
package enum EngineCache {
    /// A folder per checkpoint: the one of the flag (`--engine-cache`), else the service's own (systemd's
    /// CACHE_DIRECTORY), else the user's.
    package static func folder(
        _ flag: String?,
        checkpoint: String,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(WorkerError) -> String {
        let root: String
        if let flag {
            root = flag
        } else if let service = environment["CACHE_DIRECTORY"], !service.isEmpty {
            root = service + "/tensorrt"
        } else {
            let home = environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "/tmp") + "/.cache"
            root = home + "/groot-worker/tensorrt"
        }
        let folder = URL(filePath: root, directoryHint: .isDirectory).appending(path: checkpoint).path
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "The folder \(folder) for TensorRT engines cannot be made; name another one with --engine-cache.",
                cause: error
            )
        }
        return folder
    }
}
