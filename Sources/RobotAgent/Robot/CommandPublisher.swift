import GrootCore
import ROS1
import Synchronization

/// Sends commands to the robot: written to the subscribers' sockets on the control thread, at the tick they belong to.
///
/// `publish` is the control thread's; it waits for nobody and allocates nothing. A recording gets its copy through
/// `CommandEcho`.
final class CommandPublisher: Sendable {
    private struct State {
        var messages: CommandMessages
        /// Counts commands, as a publisher numbers its headers; a subscriber sees a gap.
        var sequence: UInt32 = 0
    }

    private let arms: DirectPublisher<JointState>
    private let claws: DirectPublisher<LejuClawCommand>
    private let base: DirectPublisher<Twist>?
    /// Held by the control thread alone.
    private let state: Mutex<State>
    private let echo: CommandEcho?

    /// - Parameter commandsBase: the policy commands height and pitch of the base too.
    init(profile: RobotProfile, commandsBase: Bool, node: ROSNode, tap: (any MessageTap)?) async throws(ROSError) {
        arms = try await node.advertiseDirect(profile.topics.armCommand, as: JointState.self)
        claws = try await node.advertiseDirect(profile.topics.clawCommand, as: LejuClawCommand.self)
        base =
            if commandsBase, let topic = profile.topics.baseCommand {
                try await node.advertiseDirect(topic, as: Twist.self)
            } else { nil }
        let messages = CommandMessages(profile: profile, commandsBase: base != nil)
        state = Mutex(State(messages: messages))
        echo = tap == nil ? nil : CommandEcho(dimensions: messages.dimensions)
        if let tap, let echo {
            do {
                try echo.start(Self.record(messages, profile: profile, tap: tap))
            } catch {
                throw ROSError(.unreachable, "commands cannot be recorded", cause: error)
            }
        }
    }

    deinit {
        echo?.finish()
    }

    /// One command: arms in rad, claws 0 to 100, then height and pitch. Control thread.
    func publish(_ command: [Float]) {
        let mark = state.withLock { state in
            let mark = CommandEcho.Mark(header: ROSHeader(seq: state.sequence, stamp: .now()), sentAt: .now())
            state.sequence &+= 1
            state.messages.set(command, header: mark.header)
            arms.publish(state.messages.arms)
            claws.publish(state.messages.claws)
            base?.publish(state.messages.base)
            return mark
        }
        echo?.sent(command, mark)
    }

    /// How many subscribers are connected to each commanded topic.
    var subscriberCounts: [(topic: String, count: Int)] {
        var counts = [(arms.topic, arms.subscriberCount), (claws.topic, claws.subscriberCount)]
        if let base { counts.append((base.topic, base.subscriberCount)) }
        return counts
    }

    /// Nodes that listen to the arms' commands.
    var armSubscriberCount: Int { arms.subscriberCount }
    /// Messages that a subscriber missed because it was behind.
    var leftOutCount: UInt64 { arms.leftOutCount + claws.leftOutCount + (base?.leftOutCount ?? 0) }

    private static func record(
        _ messages: CommandMessages,
        profile: RobotProfile,
        tap: any MessageTap
    ) -> @Sendable ([Float], CommandEcho.Mark) -> Void {
        { command, mark in
            var messages = messages
            messages.set(command, header: mark.header)
            tap.published(messages.arms, topic: profile.topics.armCommand, at: mark.sentAt)
            tap.published(messages.claws, topic: profile.topics.clawCommand, at: mark.sentAt)
            guard messages.dimensions > profile.claws.upperBound, let topic = profile.topics.baseCommand else { return }
            tap.published(messages.base, topic: topic, at: mark.sentAt)
        }
    }
}
