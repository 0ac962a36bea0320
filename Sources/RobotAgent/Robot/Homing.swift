import GrootCore
package import Logging
import Synchronization

/// Moves the arms home through the control thread and checks with the measured joints that they arrived.
package final class Homing: Sendable {
    package enum Claws: Sendable {
        case open
        /// As they were commanded or measured last.
        case keep
    }

    /// Time after the end of the move for the arms to settle.
    package static let settleLimit: Duration = .seconds(2)

    private let env: GrabBoxMpcEnv
    private let control: ControlThread
    private let dimensions: Int
    private let logger: Logger
    private let moves = Atomic<UInt64>(0)

    /// - Parameter dimensions: of a control command: arms, claws and what else the policy commands.
    package init(env: GrabBoxMpcEnv, control: ControlThread, dimensions: Int, logger: Logger) {
        self.dimensions = dimensions
        self.env = env
        self.control = control
        self.logger = logger
    }

    /// - Throws: `AgentError` when an arm did not arrive and `mustArrive` is set.
    package func goHome(claws: Claws, mustArrive: Bool) async throws {
        let profile = env.profile
        guard let measured = env.measuredPose else {
            throw AgentError(.unavailable, "no joint state to start homing from")
        }
        let clawGoal: [Float]
        switch claws {
        case .open: clawGoal = profile.claws.map { _ in profile.claw.open }
        case .keep: clawGoal = Array(measured[profile.claws])
        }
        let rest = [Float](repeating: 0, count: dimensions - measured.count)
        let goal = profile.arm.homeRad + clawGoal + rest
        let id = moves.wrappingAdd(1, ordering: .relaxed).newValue
        control.commands.push(
            .move(id: id, goal: goal, velocity: profile.arm.homingVelocityRadS, measured: measured + rest)
        )
        let plan = MotionPlan(
            from: measured + rest,
            to: goal,
            arms: profile.armJoints,
            maximumVelocity: profile.arm.homingVelocityRadS
        )
        let limit = MonotonicInstant.now() + .milliseconds(10) * plan.ticks + .seconds(5)
        while control.status.peek()?.completedMove != id {
            if control.status.peek()?.abandonedMove == id {
                throw AgentError(
                    .safety,
                    "the joint state (\(profile.topics.jointState)) fell silent while homing; the arms were stopped there"
                )
            }
            guard MonotonicInstant.now() < limit else {
                throw AgentError(.safety, "homing did not end in time: the control thread is not running on time")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        try await confirmArrival(mustArrive: mustArrive)
    }

    /// Stops streaming: a moving robot is decelerated first.
    package func comeToRest() async {
        control.commands.push(.stop)
        let limit = MonotonicInstant.now() + .seconds(2)
        while MonotonicInstant.now() < limit {
            switch control.status.peek()?.phase {
            case .silent, .stopped, nil: return
            // The stop itself cannot be interrupted.
            default: try? await Task.sleep(for: .milliseconds(5))
            }
        }
        logger.error("the control thread did not stop streaming within 2 s")
    }

    private func confirmArrival(mustArrive: Bool) async throws {
        let profile = env.profile
        let limit = MonotonicInstant.now() + Self.settleLimit
        var farthest: (joint: String, distance: Float) = ("", .infinity)
        repeat {
            guard let measured = env.measuredPose else { continue }
            farthest = ("", 0)
            for joint in profile.armJoints {
                let distance = abs(measured[joint] - profile.arm.homeRad[joint])
                if distance > farthest.distance { farthest = (profile.arm.commandNames[joint], distance) }
            }
            if farthest.distance <= profile.arm.arrivalToleranceRad { return }
            try await Task.sleep(for: .milliseconds(20))
        } while MonotonicInstant.now() < limit
        let message =
            "the arms did not reach home: \(farthest.joint) is \(farthest.distance) rad away "
            + "(tolerance \(profile.arm.arrivalToleranceRad)); is something in the way, is external control on?"
        if mustArrive { throw AgentError(.safety, message) }
        logger.warning("\(message)")
    }
}
