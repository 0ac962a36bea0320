import Foundation

/// Where the ONNX Runtime library (`libonnxruntime.so.*` of the `onnxruntime` wheel) is looked for.
package enum LibrarySearch {
    package static let environmentKey = "GROOT_ONNXRUNTIME"
    package static let projectPath = ".state/onnxruntime/libonnxruntime.so"
    package static let systemName = "libonnxruntime.so"

    /// The places to try, in order. A place that the user named is the only one.
    ///
    /// The project's own copy is looked for in the current directory and its parents.
    package static func candidates(
        flag: String?,
        environment: [String: String],
        currentDirectory: String,
        exists: (String) -> Bool
    ) -> [String] {
        if let flag { return [flag] }
        if let named = environment[environmentKey], !named.isEmpty { return [named] }
        var directory = URL(filePath: currentDirectory, directoryHint: .isDirectory).standardizedFileURL
        while true {
            let path = directory.appending(path: projectPath).path
            if exists(path) { return [path] }
            let parent = directory.deletingLastPathComponent().standardizedFileURL
            if parent.path == directory.path || parent.path.count >= directory.path.count { break }
            directory = parent
        }
        return [systemName]
    }

    /// Opens the first library that works.
    ///
    /// - Throws: `runtimeMissing`, which lists what was tried and how to get the library.
    static func open(flag: String?) throws(WorkerError) -> ORTLibrary {
        let candidates = candidates(
            flag: flag,
            environment: ProcessInfo.processInfo.environment,
            currentDirectory: FileManager.default.currentDirectoryPath,
            exists: { FileManager.default.fileExists(atPath: $0) }
        )
        var problems: [String] = []
        for path in candidates {
            do {
                return try ORTLibrary(path: path)
            } catch {
                problems.append(error.message)
            }
        }
        throw WorkerError(
            .runtimeMissing,
            problems.joined(separator: " ")
                + " Name the library with --onnxruntime or \(environmentKey), or put libonnxruntime.so of the"
                + " onnxruntime wheel at \(projectPath)."
        )
    }
}
