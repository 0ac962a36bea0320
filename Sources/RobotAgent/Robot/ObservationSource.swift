package import GrootCore

/// Where observations come from: the robot, or a recording of one.
package protocol ObservationSource: Sendable {
    var profile: RobotProfile { get }
    /// Time between two images of the slowest camera.
    var cameraPeriod: Duration { get }
    /// The newest aligned observation, or nil while an input is missing.
    func newest() -> ObservationBuffers.Aligned?
    /// Suspends until another image arrives or `limit` has passed.
    func nextFrame(limit: Duration) async
    /// Topics that were never heard or fell silent.
    func silentTopics(at now: MonotonicInstant) -> [String]
}
