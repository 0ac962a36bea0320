/// Exit codes of every command of every executable (numbers of `sysexits.h` where one fits).
///
/// The table of docs/operations/exit-codes.md follows this list, and a test runs each cell of it with the built
/// executables. What systemd does with a code is in the units: only `usage` and `badInput` keep a service down.
package enum ProcessExit: Int32, Sendable, CaseIterable {
    /// Finished or drained as asked.
    case ok = 0
    /// Failed while running.
    case failed = 1
    /// A flag, a setting or their combination cannot be right.
    case usage = 64
    /// A file the user named is missing or cannot be used: checkpoint, profile, certificate, configuration, recording.
    case badInput = 65
    /// A needed peer did not answer or refused: gateway, database, ROS master, a silent topic.
    case unavailable = 69
    /// The safety gate refused to start or stopped the robot.
    case safety = 70
    /// A file or folder cannot be written: state, backup, recording, certificates.
    case cannotWrite = 73
    /// An address cannot be listened on: it is taken, or not yet there. Trying again may help.
    case cannotListen = 75

    /// Trying again with the same command line may help: whatever supervises the process should.
    package var isWorthRepeating: Bool {
        switch self {
        case .failed, .unavailable, .cannotWrite, .cannotListen: true
        case .ok, .usage, .badInput, .safety: false
        }
    }
}
