import Foundation

/// One boot's spool on disk: applies what `SpoolState` decides. Owned by the `TelemetrySpool` actor.
struct SpoolFile {
    static let fileExtension = "spool"

    let url: URL
    let robot: String
    let boot: String
    private(set) var state: SpoolState
    private let handle: FileHandle

    /// Opens or creates the file of one boot; a damaged tail is cut off.
    init(directory: URL, robot: String, boot: String, limits: SpoolState.Limits) throws(AgentError) {
        self.url = directory.appending(path: "\(robot).\(boot).\(Self.fileExtension)")
        self.robot = robot
        self.boot = boot
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            if !FileManager.default.fileExists(atPath: url.path) {
                try Data().write(to: url)
            }
            let bytes = try [UInt8](Data(contentsOf: url))
            state = bytes.isEmpty ? SpoolState(limits: limits) : SpoolState(recovering: bytes, limits: limits)
            handle = try FileHandle(forUpdating: url)
            try handle.truncate(atOffset: UInt64(state.validBytes))
            try handle.seekToEnd()
        } catch {
            throw AgentError(
                .spool,
                "the spool \(url.path) cannot be opened; choose a writable --state-dir",
                cause: error
            )
        }
    }

    /// Boots of `robot` that left something behind, oldest first.
    static func leftBehind(in directory: URL, robot: String) -> [String] {
        // A directory that does not exist yet holds nothing.
        let files =
            (try? FileManager.default.contentsOfDirectory(
                at: directory,
                includingPropertiesForKeys: [.contentModificationDateKey]
            )) ?? []
        return files.filter { $0.pathExtension == fileExtension && $0.lastPathComponent.hasPrefix(robot + ".") }
            .sorted { modified($0) < modified($1) }
            .compactMap { file in
                let parts = file.deletingPathExtension().lastPathComponent.dropFirst(robot.count + 1)
                return parts.contains(".") ? nil : String(parts)
            }
    }

    mutating func append(_ kind: SpoolEntry.Kind, payload: (UInt64) throws -> [UInt8]) throws {
        try apply(state.appended(kind, payload: payload(state.nextNumber)))
        if kind != .inference { try handle.synchronize() }
    }

    mutating func committed(through number: UInt64) throws {
        try apply(state.committed(through: number))
    }

    /// Deletes the file of a boot that has nothing to report any more.
    func remove() throws {
        try handle.close()
        try FileManager.default.removeItem(at: url)
    }

    private func apply(_ change: SpoolState.FileChange) throws {
        switch change {
        case .append(let bytes): try handle.write(contentsOf: Data(bytes))
        case .truncate:
            try handle.truncate(atOffset: 0)
            try handle.seekToEnd()
        case .none: break
        }
    }

    private static func modified(_ file: URL) -> Date {
        // Order among old boots is a courtesy; an unreadable date sorts first.
        (try? file.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate) ?? .distantPast
    }
}
