import Foundation

/// The child's Python files: embedded in the executable, so that a worker is one file to install, and written to the
/// child's private folder at every start.
enum PythonFiles {
    static let main = "child.py"
    static let lerobotAdapter = "lerobot_policy.py"

    private static var all: [(name: String, bytes: [UInt8])] {
        [
            (main, PackageResources.child_py), (lerobotAdapter, PackageResources.lerobot_policy_py),
            ("capture.py", PackageResources.capture_py), ("prefix.py", PackageResources.prefix_py),
            ("groot.py", PackageResources.groot_py), ("grouping.py", PackageResources.grouping_py),
            ("processors.py", PackageResources.processors_py),
        ]
    }

    static func write(to folder: URL) throws(WorkerError) {
        for file in all {
            let path = folder.appending(path: file.name)
            do {
                try Data(file.bytes).write(to: path)
            } catch {
                throw WorkerError(
                    .badCheckpoint,
                    "\(path.path) cannot be written; is the disk full or the folder read-only?",
                    cause: error
                )
            }
        }
    }
}
