import GrootCore
import Logging
import ROS1

/// Turns the head to where the policy's camera was in training, once, before the first episode.
struct HeadPose: Sendable {
    /// Time for the head's controller to be found.
    static let subscriberLimit: Duration = .seconds(2)

    let pose: RobotProfile.Head
    let node: ROSNode
    let logger: Logger

    func take() async throws {
        let head = try await node.advertise(pose.topic, as: RobotHeadMotionData.self, latched: true)
        head.publish(RobotHeadMotionData(jointData: [pose.yawDeg, pose.pitchDeg]))
        let limit = MonotonicInstant.now() + Self.subscriberLimit
        while head.subscriberCount == 0 {
            guard MonotonicInstant.now() < limit else {
                logger.warning(
                    "nobody turns the head: the camera may look elsewhere than in training",
                    metadata: ["topic": "\(pose.topic)"]
                )
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        logger.info(
            "head turned",
            metadata: ["topic": "\(pose.topic)", "setting": "yaw \(pose.yawDeg), pitch \(pose.pitchDeg) degrees"]
        )
    }
}
