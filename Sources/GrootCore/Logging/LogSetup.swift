import Glibc
package import Logging
import Synchronization

/// How a process logs: lines for people on a terminal, JSON everywhere else.
package enum LogSetup {
    /// Installs the handler for the whole process. Called once, first thing in `main`.
    ///
    /// - Parameter isTerminal: whether somebody reads standard error as it comes.
    package static func bootstrap(level: Logger.Level, isTerminal: Bool = isatty(STDERR_FILENO) == 1) {
        self.level = level
        if isTerminal {
            LoggingSystem.bootstrap { HumanLogHandler(label: $0) }
        } else {
            LoggingSystem.bootstrap { JSONLogHandler(label: $0) }
        }
    }

    /// The level of every logger that has none of its own. Any thread, at any time.
    package static var level: Logger.Level {
        get { Logger.Level.allCases[current.load(ordering: .relaxed)] }
        set { current.store(Logger.Level.allCases.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }

    private static let current = Atomic<Int>(2)
}
