/// How an episode ended. The raw value is what the database and ROS topics carry.
package enum EpisodeOutcome: String, Hashable, Sendable, CaseIterable, Codable {
    case success
    case dropped
    case wrongBox = "wrong_box"
    case timeout
    /// The task named a box that is not there or not reachable, and the robot stayed home.
    case refused
    /// The agent stopped the episode: safety, operator or a lost robot.
    case aborted
    /// An operator judged it a failure.
    case failure

    /// True when the robot did what the task asked for.
    package var isSuccess: Bool { self == .success || self == .refused }
}
