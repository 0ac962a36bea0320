package import GrootCore
package import ROS1

/// Sees what the environment receives and publishes, for a recording. Called on the threads that carry the
/// messages; must not block.
package protocol MessageTap: Sendable {
    func received<Message: ROSMessage>(_ message: Message, topic: String, at now: MonotonicInstant)
    func published<Message: ROSMessage>(_ message: Message, topic: String, at now: MonotonicInstant)
}
