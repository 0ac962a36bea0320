import Foundation
import GrootTesting

/// A file system in memory, unmounted when the test lets go.
final class SmallDisk {
    let folder: URL
    private let isMounted: Bool
    private var ballast: URL { folder.appending(path: "ballast") }

    init?(_ folder: URL, megabytes: Int) throws {
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        isMounted = try Self.run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m,mode=0755", "tmpfs", folder.path)
        if !isMounted { return nil }
    }

    /// Whether this process may mount file systems.
    static let mayMount: Bool = {
        // A refusal is an answer.
        guard let folder = try? TemporaryDirectory(prefix: "groot-mount") else { return false }
        return (try? SmallDisk(folder.url, megabytes: 1)) ?? nil != nil
    }()

    deinit {
        // Lazily: what still runs keeps its files until it ends.
        if isMounted { _ = try? Self.run("umount", "-l", folder.path) }
    }

    var free: Int {
        get throws {
            let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
            return (attributes[.systemFreeSize] as? NSNumber)?.intValue ?? 0
        }
    }

    /// Leaves only so many bytes.
    func fill(leaving bytes: Int) throws {
        let handle = try Self.handle(ballast)
        defer { handle.closeFile() }
        try handle.seekToEnd()
        while try free > bytes {
            let count = min(1 << 20, max(4096, try free - bytes))
            do {
                try handle.write(contentsOf: Data(repeating: 1, count: count))
            } catch {
                // Somebody else was quicker: full is full.
                return
            }
        }
    }

    func makeRoom() throws { try FileManager.default.removeItem(at: ballast) }

    private static func handle(_ file: URL) throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: file.path) { try Data().write(to: file) }
        return try FileHandle(forWritingTo: file)
    }

    static func run(_ arguments: String...) throws -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
