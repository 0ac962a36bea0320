import GrootCore
package import Logging
package import ROS1

/// Takes the arms under external control and hands them back, in the order that the profile names.
package struct RobotModes: Sendable {
    /// Time one service call may take; robots that lack a service must not cost more than this.
    package static let callTimeout: Duration = .seconds(5)
    /// What the agent itself spends on the hand-back before it leaves the rest to its guard; a call that hangs
    /// takes `callTimeout` besides.
    package static let ownLimits = HandBackMachine.Limits(total: .seconds(3))

    /// What came of a hand-back.
    package enum HandBackResult: Sendable, Equatable {
        case confirmed
        /// Steps that the robot did not confirm.
        case unconfirmed([String])
        /// Another agent drives the robot; nothing more was asked of it.
        case heldByAnother
    }

    private struct Answer {
        var isAccepted: Bool
        /// The mode that the robot says it is in, where the service says so.
        var mode: Int32?
        var message: String
    }

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

    /// Hands the arms back: every call until the robot confirms it, in order, for as long as `limits` allow.
    ///
    /// - Parameter isHeldByAnother: asked before each call; what another agent holds is not handed back.
    package func handBack(
        within limits: HandBackMachine.Limits = RobotModes.ownLimits,
        unless isHeldByAnother: @Sendable () async -> Bool = { false }
    ) async -> HandBackResult {
        var machine = HandBackMachine(calls: profile.handBack.count, limits: limits, startedAt: .now())
        var trouble = RateLimit(every: .seconds(5))
        while true {
            switch machine.next(at: .now()) {
            case .confirmed: return .confirmed
            case .gaveUp(let calls): return .unconfirmed(calls.map { profile.handBack[$0].description })
            case .wait(let pause):
                // In a task of its own: handing back goes on when this one is cancelled.
                await Task { try? await Task.sleep(for: pause) }.value
            case .call(let index):
                if await isHeldByAnother() { return .heldByAnother }
                do {
                    try await apply(profile.handBack[index], isHandBack: true)
                    machine.confirmed()
                } catch {
                    machine.failed()
                    if let suppressed = trouble.admit(at: .now()) {
                        logger.error(
                            "the robot did not confirm a step of the hand-back",
                            metadata: [
                                "topic": "\(profile.handBack[index].service)", "error": "\(error)",
                                "suppressed": "\(suppressed)",
                            ]
                        )
                    }
                }
            }
        }
    }

    /// - Parameter isHandBack: the mode that the robot answers counts, too; a mode that it still changes is not confirmed.
    private func apply(_ call: RobotProfile.ModeCall, isHandBack: Bool = false) async throws(AgentError) {
        let found: (name: String, description: ROSServiceDescription)
        do {
            found = try await locate(call)
        } catch {
            // When the arms are to be free again, only a master that knows no such service says that the robot lacks it.
            let isLacking = call.isOptional == true && (!isHandBack || error.code == .notFound)
            guard !isLacking else {
                logger.warning("the robot lacks an optional service", metadata: ["topic": "\(call.service)"])
                return
            }
            throw missing(call, error)
        }
        let answer: Answer
        do {
            answer = try await self.call(found.name, found.description, call)
        } catch {
            throw missing(call, error)
        }
        guard answer.isAccepted else {
            throw AgentError(.safety, "the robot refused \(found.name) = \(call.value): \(answer.message)")
        }
        if isHandBack, let mode = answer.mode, mode != call.value {
            throw AgentError(.safety, "\(found.name) = \(call.value): the robot is still in mode \(mode)")
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
    ) async throws(ROSError) -> Answer {
        switch call.kind {
        case .armMode:
            let request = ChangeArmCtrlModeRequest(controlMode: call.value)
            let answer = try await node.callService(
                name,
                as: ChangeArmCtrlMode.self,
                request: request,
                timeout: Self.callTimeout
            )
            return Answer(isAccepted: answer.result, mode: answer.mode, message: answer.message)
        case .quickMode where description.md5 == ChangeLbQuickMode.md5:
            let request = ChangeLbQuickModeRequest(quickMode: Int8(clamping: call.value))
            let answer = try await node.callService(
                name,
                as: ChangeLbQuickMode.self,
                request: request,
                timeout: Self.callTimeout
            )
            return Answer(isAccepted: answer.success, message: answer.message)
        case .setBool, .quickMode:
            let request = SetBoolRequest(data: call.value != 0)
            let answer = try await node.callService(
                name,
                as: SetBool.self,
                request: request,
                timeout: Self.callTimeout
            )
            return Answer(isAccepted: answer.success, message: answer.message)
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
