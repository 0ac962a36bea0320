import GrootCore
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
        let found: (name: String, description: ROSServiceDescription)
        do {
            found = try await locate(call)
        } catch {
            guard call.isOptional != true else {
                logger.warning("the robot lacks an optional service", metadata: ["topic": "\(call.service)"])
                return
            }
            throw missing(call, error)
        }
        let answer: (accepted: Bool, message: String)
        do {
            answer = try await self.call(found.name, found.description, call)
        } catch {
            throw missing(call, error)
        }
        guard answer.accepted else {
            throw AgentError(.safety, "the robot refused \(found.name) = \(call.value): \(answer.message)")
        }
        logger.info("robot mode set", metadata: ["topic": "\(found.name)", "value": "\(call.value)"])
    }

    /// The first of the call's names that the robot offers; all are tried within one time limit.
    private func locate(_ call: RobotProfile.ModeCall) async throws(ROSError) -> (String, ROSServiceDescription) {
        let deadline = MonotonicInstant.now() + Self.callTimeout
        while true {
            var last: ROSError?
            for name in call.names {
                let left = deadline - MonotonicInstant.now()
                do throws(ROSError) {
                    return (name, try await node.describeService(name, timeout: max(left, .milliseconds(100))))
                } catch {
                    last = error
                }
            }
            if MonotonicInstant.now() >= deadline || Task.isCancelled, let last { throw last }
            // Sleep ends early only by cancellation, which the next round sees.
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func call(
        _ name: String,
        _ description: ROSServiceDescription,
        _ call: RobotProfile.ModeCall
    ) async throws(ROSError) -> (Bool, String) {
        switch call.kind {
        case .armMode:
            let request = ChangeArmCtrlModeRequest(controlMode: call.value)
            let answer = try await node.callService(
                name,
                as: ChangeArmCtrlMode.self,
                request: request,
                timeout: Self.callTimeout
            )
            return (answer.result, answer.message)
        case .quickMode where description.md5 == ChangeLbQuickMode.md5:
            let request = ChangeLbQuickModeRequest(quickMode: Int8(clamping: call.value))
            let answer = try await node.callService(
                name,
                as: ChangeLbQuickMode.self,
                request: request,
                timeout: Self.callTimeout
            )
            return (answer.success, answer.message)
        case .setBool, .quickMode:
            let request = SetBoolRequest(data: call.value != 0)
            let answer = try await node.callService(
                name,
                as: SetBool.self,
                request: request,
                timeout: Self.callTimeout
            )
            return (answer.success, answer.message)
        }
    }

    private func missing(_ call: RobotProfile.ModeCall, _ cause: any Error) -> AgentError {
        AgentError(
            .unavailable,
            "service \(call.names.joined(separator: " or ")) (profile \(profile.name)) did not answer; "
                + "is this the right profile for the robot?",
            cause: cause
        )
    }
}
