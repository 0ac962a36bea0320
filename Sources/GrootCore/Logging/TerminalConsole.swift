package import Foundation
import Glibc
import Synchronization

/// What a process writes for people: log lines, lines of its own and one status line that refreshes in place.
///
/// Any thread. Each of them leaves in one `write` under one lock: what is written while a status line stands takes it
/// away, stands on a line of its own, and puts it back below. So no line is ever torn by another.
package final class TerminalConsole: Sendable {
    package static let shared = TerminalConsole()

    /// To the line's start, and clear it.
    private static let erase = "\r\u{1B}[K"
    /// A line longer than the terminal is wide must not wrap: only its last row could be taken away again.
    private static let status = (before: "\u{1B}[?7l", after: "\u{1B}[?7h")

    private let out: FileHandle
    private let err: FileHandle
    /// The status line that stands on the terminal; empty when none does.
    private let standing = Mutex("")

    package init(out: FileHandle = .standardOutput, err: FileHandle = .standardError) {
        self.out = out
        self.err = err
    }

    /// One log line on standard error.
    ///
    /// - Parameter isTerminal: standard error is the terminal on which a status line may stand.
    package func log(_ line: String, isTerminal: Bool) {
        standing.withLock { write(isTerminal ? framed(line, $0) : line + "\n", to: err) }
    }

    /// One line of the process's own on standard output, e.g. what an operator is asked.
    package func say(_ line: String) {
        standing.withLock { write(framed(line, $0), to: out) }
    }

    /// Replaces the status line. Only for a standard output that is a terminal.
    package func show(status text: String) {
        standing.withLock { current in
            current = text
            write(Self.erase + Self.drawn(text), to: out)
        }
    }

    /// Leaves the status line behind as an ordinary one.
    package func leaveStatus() {
        standing.withLock { current in
            if !current.isEmpty { write("\n", to: out) }
            current = ""
        }
    }

    private func framed(_ line: String, _ current: String) -> String {
        current.isEmpty ? line + "\n" : Self.erase + line + "\n" + Self.drawn(current)
    }

    private static func drawn(_ text: String) -> String { status.before + text + status.after }

    private func write(_ text: String, to handle: FileHandle) {
        // A closed terminal is no reason to stop a robot or a server.
        try? handle.write(contentsOf: Data(text.utf8))
    }
}
