/// Exit codes of every executable (numbers of `sysexits.h` where one fits).
package enum ProcessExit: Int32, Sendable {
    /// Finished or drained as asked.
    case ok = 0
    /// Failed while running.
    case failed = 1
    /// Bad flag or configuration.
    case usage = 64
    /// A file the user named cannot be used: checkpoint, profile, scene.
    case badInput = 65
    /// A needed peer did not answer: gateway, database, ROS master, a silent topic.
    case unavailable = 69
    /// The safety gate refused to start or stopped the robot.
    case safety = 70
}
