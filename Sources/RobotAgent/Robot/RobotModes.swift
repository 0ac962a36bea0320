package import Logging
package import ROS1

/// Takes the arms under external control and hands them back, in the order that the profile names.
package struct RobotModes: Sendable {
    /// Time one service call may take; robots that lack a service must not cost more than this.
    package static let callTimeout: Duration = .seconds(5)

    private let profile: RobotProfile
    private let node: ROSNode
    private let logger: Logger

    package init(profile: RobotProfile, node: ROSNode, logger: Logger) {
        self.profile = profile
        self.node = node
        self.logger = logger
    }

    /// - Throws: `AgentError` when the robot refuses a mode: nothing may be streamed then.
    package func takeControl() async throws(AgentError) {
        for call in profile.prepare { try await apply(call) }
    }

    /// Tries every call even when one fails; the robot is left as far back as possible.
    package func handBack() async {
        for call in profile.handBack {
            do {
                try await apply(call)
            } catch {
                logger.error("handing the arms back failed", metadata: ["error": "\(error)"])
            }
        }
    }

    private func apply(_ call: RobotProfile.ModeCall) async throws(AgentError) {
        let accepted: Bool
        let message: String
        do {
            try await node.waitForService(call.service, timeout: Self.callTimeout)
            switch call.kind {
            case .armMode:
                let answer = try await node.callService(
                    call.service,
                    as: ChangeArmCtrlMode.self,
                    request: ChangeArmCtrlModeRequest(controlMode: call.value),
                    timeout: Self.callTimeout
                )
                (accepted, message) = (answer.result, answer.message)
            case .setBool:
                let answer = try await node.callService(
                    call.service,
                    as: SetBool.self,
                    request: SetBoolRequest(data: call.value != 0),
                    timeout: Self.callTimeout
                )
                (accepted, message) = (answer.success, answer.message)
            }
        } catch {
            throw AgentError(
                .unavailable,
                "service \(call.service) (profile \(profile.name)) did not answer; is this the right profile for the robot?",
                cause: error
            )
        }
        guard accepted else {
            throw AgentError(.safety, "the robot refused \(call.service) = \(call.value): \(message)")
        }
        logger.info("robot mode set", metadata: ["topic": "\(call.service)", "value": "\(call.value)"])
    }
}
