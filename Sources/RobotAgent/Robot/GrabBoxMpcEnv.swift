package import GrootCore
package import ROS1

/// The robot as the agent drives it: what it measures, and where its commands go.
///
/// Exists only once the inputs are as the contract wants them: before, nothing is offered on a commanded topic, so that a
/// start that is refused disturbs nobody who drives the robot already.
package final class GrabBoxMpcEnv: ObservationSource {
    package let inputs: RobotInputs
    /// Nil in a dry run, which offers no commands.
    private let commands: CommandPublisher?

    /// - Parameters:
    ///   - commandsBase: the policy commands height and pitch of the base too.
    ///   - tap: sees what is published.
    package init(
        inputs: RobotInputs,
        commandsBase: Bool,
        isDryRun: Bool,
        node: ROSNode,
        tap: (any MessageTap)? = nil
    ) async throws(ROSError) {
        self.inputs = inputs
        if isDryRun {
            commands = nil
            return
        }
        let commands = try await CommandPublisher(
            profile: inputs.profile,
            commandsBase: commandsBase,
            node: node,
            tap: tap
        )
        self.commands = commands
        inputs.commandsOffered { commands.subscriberCounts }
    }

    package var profile: RobotProfile { inputs.profile }
    package var cameraPeriod: Duration { inputs.cameraPeriod }
    package var measuredPose: [Float]? { inputs.measuredPose }

    package func newest() -> ObservationBuffers.Aligned? { inputs.newest() }
    package func nextFrame(limit: Duration) async { await inputs.nextFrame(limit: limit) }
    package func silentTopics(at now: MonotonicInstant) -> [String] { inputs.silentTopics(at: now) }

    /// What one control tick knows of the robot. Control thread: allocates nothing, waits for nobody.
    package func sense(at now: MonotonicInstant, into inputs: inout ControlInputs) {
        self.inputs.sense(at: now, into: &inputs)
    }

    /// Publishes one command: arms in rad, claws 0 to 100, then height and pitch. Control thread.
    package func publish(_ command: [Float]) {
        inputs.commanded(command)
        commands?.publish(command)
    }
}
