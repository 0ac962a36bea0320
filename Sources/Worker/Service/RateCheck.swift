package import GrootCore

/// Compares the rate at which robots execute chunks with the rate for which a checkpoint was made. Pure.
///
/// A mismatch is reported, not refused: the arm moves too fast or too slow, and only people can say which of the two
/// numbers is wrong.
package struct RateCheck: Sendable {
    /// Robots that are remembered as reported; beyond, the oldest report may be repeated.
    package static let maximumRobots = 1024

    /// Robot, checkpoint and period of what was reported.
    private struct Finding: Hashable {
        var robot: String
        var checkpoint: String
        var period: Duration
    }

    private var reported: Set<Finding> = []

    package init() {}

    package enum Outcome: Hashable, Sendable {
        case fits
        /// Nil when this was said before.
        case differs(message: String?)
    }

    /// - Parameters:
    ///   - robot: empty is one robot like any other.
    ///   - period: between two rows as the robot executes them; nil when it did not say.
    package mutating func requestArrived(
        robot: String,
        period: Duration?,
        policy: PolicyDescription
    ) -> Outcome {
        guard let period else { return .fits }
        // The robot says whole milliseconds: 33 is what it says of 33.3.
        guard (period - policy.actionPeriod).nanoseconds.magnitude >= 1_000_000 else { return .fits }
        let finding = Finding(robot: robot, checkpoint: policy.checkpoint, period: period)
        if reported.contains(finding) { return .differs(message: nil) }
        if reported.count >= Self.maximumRobots { reported.removeAll() }
        reported.insert(finding)
        return .differs(
            message: """
                \(robot) executes rows \(period.milliseconds) ms apart, \(policy.checkpoint) was made for \
                \(policy.actionPeriod.milliseconds) ms (\(1 / policy.actionPeriod.seconds) a second). Correct the \
                checkpoint's action_period_s (LeRobot: --fps or --dataset), or serve the robot a checkpoint of its rate.
                """
        )
    }
}
