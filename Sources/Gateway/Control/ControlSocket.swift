import Foundation
import Glibc
import GrootCore

/// A unix socket in a directory of its own that only this user may enter: nobody else on the machine reaches what listens.
///
/// The directory is made at the start, in the runtime directory of the service or user if there is one, and removed at
/// the end; what a process that was killed left behind is removed by the next one, which knows it by its lock.
final class ControlSocket: Sendable {
    let path: String
    private let directory: String
    /// Holds the lock until it is closed.
    private let lock: FileHandle

    private static let prefix = "groot-control-"
    /// Longest path of a unix socket (`sun_path` without its NUL).
    private static let longestPath = 107

    /// - Throws: `GatewayError` when no directory can be made.
    init(environment: [String: String] = ProcessInfo.processInfo.environment) throws(GatewayError) {
        // systemd separates several with colons.
        let runtime = environment["RUNTIME_DIRECTORY"].flatMap { $0.split(separator: ":").first }.map(String.init)
        let places = [runtime, environment["XDG_RUNTIME_DIR"], environment["TMPDIR"], "/tmp"].compactMap { $0 }
            .filter { $0.hasPrefix("/") }
        var problems: [String] = []
        for place in places {
            Self.removeLeftovers(in: place)
            let directory = place + "/" + Self.prefix + String(UInt64.random(in: 0 ... .max), radix: 16)
            guard (directory + "/socket").utf8.count <= Self.longestPath else {
                problems.append("\(place): its path is too long for a socket")
                continue
            }
            do {
                try Self.makePrivate(directory)
                lock = try FileHandle(forReadingFrom: URL(fileURLWithPath: directory))
                // A directory that was just made is nobody's.
                _ = flock(lock.fileDescriptor, LOCK_EX | LOCK_NB)
                self.directory = directory
                path = directory + "/socket"
                return
            } catch {
                problems.append("\(place): \(error.localizedDescription)")
            }
        }
        throw GatewayError(
            code: .controlPlane,
            message: "no private directory for the control plane's socket can be made: "
                + problems.joined(separator: "; ")
        )
    }

    func remove() {
        // Whatever stays is removed by the next start.
        try? FileManager.default.removeItem(atPath: directory)
    }

    private static func makePrivate(_ directory: String) throws {
        let files = FileManager.default
        try files.createDirectory(
            atPath: directory,
            withIntermediateDirectories: false,
            attributes: [.posixPermissions: NSNumber(value: 0o700)]
        )
        let found = try files.attributesOfItem(atPath: directory)
        guard let mode = (found[.posixPermissions] as? NSNumber)?.uint16Value, mode & 0o077 == 0,
            (found[.ownerAccountID] as? NSNumber)?.uint32Value == geteuid()
        else { throw CocoaError(.fileWriteNoPermission) }
    }

    /// A directory may be without its lock for a moment after it was made.
    private static let youngest: TimeInterval = 60

    /// Directories whose process is gone: nobody holds their lock.
    private static func removeLeftovers(in place: String) {
        // A place that cannot be looked into has nothing of ours that could be removed.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
        for name in names where name.hasPrefix(prefix) {
            let directory = place + "/" + name
            // Gone meanwhile, or another user's: not ours to remove.
            guard let found = try? FileManager.default.attributesOfItem(atPath: directory),
                (found[.ownerAccountID] as? NSNumber)?.uint32Value == geteuid(),
                let changed = found[.modificationDate] as? Date, Date().timeIntervalSince(changed) > youngest,
                let handle = try? FileHandle(forReadingFrom: URL(fileURLWithPath: directory))
            else { continue }
            defer { handle.closeFile() }
            guard flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
            // What stays is tried again by the next start.
            try? FileManager.default.removeItem(atPath: directory)
        }
    }
}
