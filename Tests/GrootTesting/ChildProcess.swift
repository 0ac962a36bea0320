package import Foundation
import Synchronization

/// A real process under test: its output goes to a file, and it is killed when the owner lets go.
///
/// Agents and simulators run without the privileges of root, as their units run them, also behind a shell or a terminal: what
/// only root may do shows here.
package final class ChildProcess: Sendable {
    package let name: String
    /// Standard error, and standard output unless `captureOutput` was asked for.
    package let log: URL
    private let output: URL
    // SAFETY: Process is used under the lock only.
    private let process: Mutex<Handle>

    private struct Handle: @unchecked Sendable {
        var process: Process
    }

    /// - Parameters:
    ///   - folder: where `<name>.log` and `<name>.out` are written.
    ///   - environment: added to the test's own.
    package init(
        _ name: String,
        executable: URL,
        arguments: [String],
        environment: [String: String] = [:],
        folder: URL
    ) throws {
        self.name = name
        log = folder.appending(path: "\(name).log")
        output = folder.appending(path: "\(name).out")
        let process = Process()
        let command = Self.unprivileged(executable, arguments)
        process.executableURL = command.executable
        process.arguments = command.arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        for file in [log, output] {
            guard FileManager.default.createFile(atPath: file.path, contents: nil) else {
                throw CocoaError(.fileWriteUnknown)
            }
        }
        process.standardError = try FileHandle(forWritingTo: log)
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        self.process = Mutex(Handle(process: process))
    }

    deinit {
        kill()
    }

    /// What `groot-agent@.service` grants through its limits (real-time priority, locked memory) stays; nothing else does.
    private static let kept = "-all,+sys_nice,+ipc_lock"

    /// The command as a unit would run it: `setpriv` gives capabilities up and then becomes the program, same process id.
    private static func unprivileged(_ executable: URL, _ arguments: [String]) -> (
        executable: URL, arguments: [String]
    ) {
        let names = ["/groot-agent", "/groot-sim"]
        // Scripts for a shell name them somewhere inside.
        let isRobotSide = ([executable.path] + arguments).contains { word in names.contains { word.contains($0) } }
        guard isRobotSide, getuid() == 0 else {
            return (executable, arguments)
        }
        let rights = ["--inh-caps", "-all", "--bounding-set", kept, "--"]
        return (URL(filePath: "/usr/bin/setpriv"), rights + [executable.path] + arguments)
    }

    package var isRunning: Bool { process.withLock { $0.process.isRunning } }

    package var processIdentifier: Int32 { process.withLock { $0.process.processIdentifier } }

    /// Nil while it runs.
    package var exitCode: Int32? {
        process.withLock { $0.process.isRunning ? nil : $0.process.terminationStatus }
    }

    /// Asks it to end (SIGTERM).
    package func terminate() {
        process.withLock { if $0.process.isRunning { $0.process.terminate() } }
    }

    /// Ends it without asking (SIGKILL).
    package func kill() {
        process.withLock { handle in
            guard handle.process.isRunning else { return }
            Foundation.kill(handle.process.processIdentifier, SIGKILL)
            handle.process.waitUntilExit()
        }
    }

    /// What it wrote to standard output so far.
    package func standardOutput() throws -> String {
        String(decoding: try Data(contentsOf: output), as: UTF8.self)
    }

    /// The lines of standard output that are complete; one may be half written.
    package func outputLines() throws -> [Substring] {
        let text = try standardOutput()
        guard let end = text.lastIndex(of: "\n") else { return [] }
        return text[..<end].split(separator: "\n")
    }

    /// What it logged so far.
    package func logText() throws -> String {
        String(decoding: try Data(contentsOf: log), as: UTF8.self)
    }

    /// The end of the log, for a failure message.
    package func lastLines(_ count: Int = 20) -> String {
        // An unreadable log leaves the message without it; the failure itself is reported anyway.
        let text = (try? logText()) ?? ""
        return text.split(separator: "\n").suffix(count).joined(separator: "\n")
    }
}
