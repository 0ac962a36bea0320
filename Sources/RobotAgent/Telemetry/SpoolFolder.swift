package import Foundation
import Glibc

/// Where the spool's files lie; tests put memory, a full disk or a failing one in its place.
package protocol SpoolStorage: AnyObject, Sendable {
    /// Name and size of every file.
    func list() throws(SpoolStorageError) -> [(name: String, bytes: Int)]
    /// Writes at `offset`, which is the end of the file; 0 makes the file. On an error the file ends at `offset`.
    func write(_ bytes: [UInt8], to name: String, at offset: Int) throws(SpoolStorageError)
    func read(_ name: String, from offset: Int) throws(SpoolStorageError) -> [UInt8]
    func delete(_ name: String) throws(SpoolStorageError)
    /// Returns when what was written to the file survives a loss of power; other calls may run meanwhile.
    func synchronize(_ name: String) throws(SpoolStorageError)
}

package struct SpoolStorageError: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// Disk or quota is full.
        case full
        case failed
    }

    package var code: Code
    package var description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

/// A directory that one agent owns while it runs.
///
/// Any thread may call `synchronize`; the rest is for the owner of the spool's lock.
package final class SpoolFolder: SpoolStorage {
    private let directory: URL
    /// Holds the lock until it is closed.
    private let lock: FileHandle

    /// - Throws: `AgentError` when the directory cannot be made or another agent has it.
    package init(_ directory: URL) throws(AgentError) {
        self.directory = directory
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            lock = try FileHandle(forReadingFrom: directory)
        } catch {
            throw AgentError(
                .spool,
                "the spool \(directory.path) cannot be opened; choose a writable --state-dir",
                cause: error
            )
        }
        guard flock(lock.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw AgentError(
                .spool,
                "another groot-agent uses \(directory.path); stop it, or give each robot a --state-dir of its own"
            )
        }
    }

    package func list() throws(SpoolStorageError) -> [(name: String, bytes: Int)] {
        try attempt("list") {
            let files = try FileManager.default.contentsOfDirectory(
                at: directory,
                includingPropertiesForKeys: [.contentModificationDateKey, .fileSizeKey, .isRegularFileKey]
            )
            // Oldest first. A file whose date cannot be read counts as the oldest: the order is a courtesy. Folders, links,
            // pipes and what vanished meanwhile are none of the spool's.
            return files.compactMap { file in
                (try? file.resourceValues(forKeys: [.contentModificationDateKey, .fileSizeKey, .isRegularFileKey]))
                    .map { (file, $0) }
            }
            .filter { $0.1.isRegularFile == true }
            .sorted {
                ($0.1.contentModificationDate ?? .distantPast, $0.0.lastPathComponent)
                    < ($1.1.contentModificationDate ?? .distantPast, $1.0.lastPathComponent)
            }
            .map { ($0.0.lastPathComponent, $0.1.fileSize ?? 0) }
        }
    }

    package func write(_ bytes: [UInt8], to name: String, at offset: Int) throws(SpoolStorageError) {
        try attempt("write \(name)") {
            let file = directory.appending(path: name)
            if offset == 0 { try Data().write(to: file) }
            let handle = try FileHandle(forWritingTo: file)
            defer { handle.closeFile() }
            do {
                try handle.seek(toOffset: UInt64(offset))
                try handle.write(contentsOf: Data(bytes))
            } catch {
                // What was written of it would only take room. If even this fails, reading skips it.
                try? handle.truncate(atOffset: UInt64(offset))
                if offset == 0 { try? FileManager.default.removeItem(at: file) }
                throw error
            }
        }
    }

    package func read(_ name: String, from offset: Int) throws(SpoolStorageError) -> [UInt8] {
        try attempt("read \(name)") {
            let handle = try FileHandle(forReadingFrom: directory.appending(path: name))
            defer { handle.closeFile() }
            try handle.seek(toOffset: UInt64(offset))
            return [UInt8](try handle.readToEnd() ?? Data())
        }
    }

    package func delete(_ name: String) throws(SpoolStorageError) {
        try attempt("delete \(name)") { try FileManager.default.removeItem(at: directory.appending(path: name)) }
    }

    package func synchronize(_ name: String) throws(SpoolStorageError) {
        try attempt("synchronize \(name)") {
            let file = directory.appending(path: name)
            // Deleted meanwhile: all of it was committed.
            guard FileManager.default.fileExists(atPath: file.path) else { return }
            let handle = try FileHandle(forUpdating: file)
            defer { handle.closeFile() }
            try handle.synchronize()
            // The file's name must survive as well.
            guard fsync(lock.fileDescriptor) == 0 else { throw CocoaError(.fileWriteUnknown) }
        }
    }

    private func attempt<Result>(_ what: String, _ body: () throws -> Result) throws(SpoolStorageError) -> Result {
        do {
            return try body()
        } catch {
            throw SpoolStorageError(Self.isFull(error) ? .full : .failed, "\(what): \(error)")
        }
    }

    private static func isFull(_ error: any Error) -> Bool {
        let error = error as NSError
        let isCocoa = error.domain == NSCocoaErrorDomain
        if isCocoa, error.code == CocoaError.Code.fileWriteOutOfSpace.rawValue { return true }
        let cause = error.domain == NSPOSIXErrorDomain ? error : error.userInfo[NSUnderlyingErrorKey] as? NSError
        return [ENOSPC, EDQUOT, EFBIG].contains { cause?.domain == NSPOSIXErrorDomain && cause?.code == Int($0) }
    }
}
