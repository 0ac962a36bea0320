import GrootCore
package import Logging
import ROS1

/// The guard's way to a robot that was handed back: waits for the master, then asks until the robot confirms.
///
/// One task. Bounded by `limit`; stands down when another agent of the same robot has taken over.
package struct GuardWatch: Sendable {
    /// Pause between two looks at a master that does not answer.
    package static let masterPause: Duration = .milliseconds(500)

    private let robot: String
    private let profile: RobotProfile
    private let rosMaster: String
    private let rosHost: String
    /// Process id of the agent that is gone.
    private let agent: Int
    private let limit: Duration
    private let logger: Logger

    package init(
        robot: String,
        profile: RobotProfile,
        rosMaster: String,
        rosHost: String,
        agent: Int,
        limit: Duration,
        logger: Logger
    ) {
        self.robot = robot
        self.profile = profile
        self.rosMaster = rosMaster
        self.rosHost = rosHost
        self.agent = agent
        self.limit = limit
        self.logger = logger
    }

    /// - Returns: false when the robot did not confirm in time.
    package func handBack() async -> Bool {
        let deadline = MonotonicInstant.now() + limit
        let suffix = robot.replacing("-", with: "_")
        let node = ROSNode(name: "/groot_guard_\(suffix)", masterURI: rosMaster, host: rosHost, logger: logger)
        guard await start(node, until: deadline) else {
            logger.error(
                "the arms are not handed back: the ROS master did not answer in time; set the robot's mode by hand",
                metadata: ["peer": "\(rosMaster)"]
            )
            return false
        }
        let result = await RobotModes(profile: profile, node: node, logger: logger).handBack(
            within: HandBackMachine.Limits(total: max(.zero, deadline - .now())),
            unless: { [agent] in
                let holder = await node.processIdentifier(ofNode: "/groot_agent_\(suffix)")
                return holder.map { $0 != agent } ?? false
            }
        )
        await node.shutdown()
        switch result {
        case .confirmed: logger.notice("the robot confirmed: the arms are handed back")
        case .heldByAnother: logger.notice("another agent drives this robot; the arms are left to it")
        case .unconfirmed(let calls):
            logger.error(
                "the arms are not handed back: the robot confirmed nothing in time; set its mode by hand",
                metadata: ["error": "\(calls.joined(separator: "; "))"]
            )
            return false
        }
        return true
    }

    private func start(_ node: ROSNode, until deadline: MonotonicInstant) async -> Bool {
        var waiting = RateLimit(every: .seconds(10))
        while true {
            do {
                try await node.start()
                return true
            } catch {
                let now = MonotonicInstant.now()
                guard now < deadline else { return false }
                if waiting.admit(at: now) != nil {
                    logger.warning(
                        "waiting for the ROS master to hand the arms back",
                        metadata: ["peer": "\(rosMaster)", "error": "\(error)"]
                    )
                }
                // Nobody cancels the guard.
                try? await Task.sleep(for: Self.masterPause)
            }
        }
    }
}
