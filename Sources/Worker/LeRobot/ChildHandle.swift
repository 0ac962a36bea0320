import Foundation
import GrootCore
import Logging
import Synchronization

/// The process of a Python child: how it ended and what it said last. Any thread.
final class ChildHandle: Sendable {
    /// Lines kept for the reason of an end.
    private static let keptLines = 5

    // SAFETY: used under the lock only; what leaves it in ending() is only asked how it ended.
    private struct Handle: @unchecked Sendable {
        var process: Process
    }

    private let handle: Mutex<Handle>
    private let output = Mutex<[String]>([])
    let identifier: Int32

    /// - Throws: `badCheckpoint` when the interpreter cannot be started.
    init(python: String, arguments: [String], logger: Logger) throws(WorkerError) {
        let process = Process()
        // Through env, so that a bare name is looked up on the PATH as a shell does.
        process.executableURL = URL(filePath: python.contains("/") ? python : "/usr/bin/env")
        process.arguments = python.contains("/") ? arguments : [python] + arguments
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        do {
            try process.run()
        } catch {
            throw WorkerError(
                .badCheckpoint,
                "\(python) cannot be started; name the Python of the LeRobot environment with --python.",
                cause: error
            )
        }
        identifier = process.processIdentifier
        handle = Mutex(Handle(process: process))
        let lines = LineSplitter()
        pipe.fileHandleForReading.readabilityHandler = { [weak self] file in
            let data = file.availableData
            guard !data.isEmpty else {
                file.readabilityHandler = nil
                return
            }
            for line in lines.split(data) {
                logger.info("python child", metadata: ["line": "\(line)"])
                self?.output.withLock { $0 = Array(($0 + [line]).suffix(Self.keptLines)) }
            }
        }
    }

    var isRunning: Bool { handle.withLock { $0.process.isRunning } }

    func kill() {
        handle.withLock { handle in
            guard handle.process.isRunning else { return }
            Foundation.kill(handle.process.processIdentifier, SIGKILL)
        }
    }

    /// How it ended, once its end of the socket is closed. Waits for the process, which is then dying.
    func ending() -> String {
        let process = handle.withLock { $0 }.process
        let limit = MonotonicInstant.now() + .seconds(2)
        while process.isRunning, MonotonicInstant.now() < limit { usleep(5000) }
        if process.isRunning { return "the Python child closed its connection" }
        let status = process.terminationStatus
        guard process.terminationReason == .uncaughtSignal else { return "the Python child ended with code \(status)" }
        let hint = status == SIGKILL ? " (killed; the system's out-of-memory killer does that)" : ""
        return "the Python child was ended by signal \(status)\(hint)"
    }

    func lastOutput() -> String { output.withLock { $0 }.joined(separator: " | ") }
}

/// Cuts a stream of bytes into lines. One thread at a time: the pipe's handler.
private final class LineSplitter: Sendable {
    /// Longer lines (a progress bar without an end) are cut.
    private static let longest = 4096

    private let rest = Mutex<[UInt8]>([])

    func split(_ data: Data) -> [String] {
        rest.withLock { rest in
            rest += data
            var lines: [String] = []
            while let end = rest.firstIndex(where: { $0 == 10 || $0 == 13 }) ?? (rest.count > Self.longest ? 4096 : nil)
            {
                let line = String(decoding: rest[..<end], as: UTF8.self).trimmingCharacters(in: .whitespaces)
                if !line.isEmpty { lines.append(line) }
                rest.removeSubrange(...min(end, rest.count - 1))
            }
            return lines
        }
    }
}
