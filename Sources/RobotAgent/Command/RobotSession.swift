import Foundation
import GrootAPI
import GrootCore
import Logging
import ROS1
import ServiceLifecycle
import Synchronization

/// Everything between taking control of a ready robot and handing it back: homing and episodes.
///
/// Runs as one task. Whatever ends it, streaming stops and the profile's modes are handed back.
struct RobotSession: Sendable {
    let configuration: AgentConfiguration
    /// The run's first one; a run configuration may name another for an episode.
    var policy: PolicyDescription
    let boot: String
    let node: ROSNode
    let env: GrabBoxMpcEnv
    let control: ControlThread
    let controlNames: [String]
    let gateway: GatewayClient
    let spool: TelemetrySpool
    let metrics: AgentMetrics
    let events: EventLog
    let recorder: Recorder?
    let memory = LatencyMemory()
    let readiness: LatestValue<String>
    /// Collects what the episodes came to; nil when nobody compares.
    let reports: ReportCollection?
    let logger: Logger

    private var profile: RobotProfile { env.profile }

    /// Measured arms and claws, zeros for the base.
    var measured: [Float]? {
        env.measuredPose.map { $0 + Array(repeating: 0, count: controlNames.count - $0.count) }
    }

    /// The mode in force under `configuration`.
    func mode(of configuration: AgentConfiguration) -> RequestPlanner.Mode {
        configuration.mode == .rtc && prefixObstacle != nil ? .async : configuration.mode
    }

    /// Why the policy cannot continue what is being executed; nil when it can.
    var prefixObstacle: String? {
        if !policy.supportsPrefix { return "takes no prefix" }
        // What is being executed are joints; the plan does not keep the poses they came from.
        return profile.commandsPoses(policy.actionNames) ? "commands hand poses" : nil
    }

    func run() async throws -> ProcessExit {
        let modes = RobotModes(profile: profile, node: node, logger: logger)
        let simulator: SimulatorLink? =
            if let extras = profile.simulator { try await SimulatorLink(node: node, extras: extras) } else { nil }
        let guardian = Guardian(logger: logger)
        let homing = Homing(env: env, control: control, dimensions: controlNames.count, logger: logger)
        let result: Result<ProcessExit, any Error>
        do {
            if !configuration.isDryRun {
                guardian.start(configuration: configuration, profile: profile)
                try await modes.takeControl()
            }
            _ = readiness.take()
            result = .success(try await episodes(simulator: simulator, homing: homing))
        } catch {
            result = .failure(error)
        }
        readiness.store("shutting down")
        // Handing back must happen even when this task is cancelled.
        let failure = await Task { [control, configuration] in
            await homing.comeToRest()
            control.shutdown()
            return configuration.isDryRun ? nil : await guardian.handBack(through: modes)
        }.value
        if var failure {
            if case .failure(let error) = result { failure.cause = error }
            throw failure
        }
        return try result.get()
    }

    private func episodes(simulator: SimulatorLink?, homing: Homing) async throws -> ProcessExit {
        let desk = OperatorDesk()
        desk.listenToKeys()
        try await desk.offerServices(on: node)
        var succeeded = 0
        var index = 0
        while index < configuration.episodes {
            if Task.isShuttingDownGracefully { break }
            let id = UUID().uuidString.lowercased()
            let (configuration, policy) = await assigned(episode: id)
            var session = self
            session.policy = policy
            let runner = EpisodeRunner(
                session: session,
                simulator: simulator,
                homing: homing,
                desk: desk,
                index: index,
                configuration: configuration
            )
            let (report, ending) = try await runner.run(id: id)
            try announce(report)
            if report.verdict.outcome.isSuccess { succeeded += 1 }
            switch ending {
            case .completed: index += 1
            case .again: break
            case .stopped: return .ok
            case .fault(let fault): throw AgentError(.safety, "the safety gate stopped the robot: \(fault)")
            }
            let isLast = index == configuration.episodes
            if !configuration.isDryRun, simulator == nil || isLast {
                // A box that is still held would fall if the claws opened.
                let claws = report.verdict.outcome.isSuccess ? Homing.Claws.open : .keep
                try await homing.goHome(claws: claws, mustArrive: simulator == nil)
            }
        }
        return configuration.requiresSuccess && succeeded < configuration.episodes ? .failed : .ok
    }

    /// The configuration of the next episode: the fleet's assignment under the flags given by hand.
    ///
    /// Asked anew before each episode, so that a change in the database reaches a robot between two episodes.
    private func assigned(episode: String) async -> (AgentConfiguration, PolicyDescription) {
        guard configuration.pullsRunConfig else { return (configuration, policy) }
        var request = Groot_V1_AssignRunConfigRequest()
        request.robot = configuration.robot
        request.task = configuration.task
        request.profile = profile.name
        request.episodeID = episode
        do {
            let answer = try await gateway.runConfig(request)
            let policy = await assignedPolicy(answer)
            let (result, problems) = configuration.applying(answer, policy: policy)
            for problem in problems { logger.warning("run configuration", metadata: ["error": "\(problem)"]) }
            return (result, policy)
        } catch {
            logger.info("no run configuration from the control plane", metadata: ["error": "\(error)"])
            return (configuration, policy)
        }
    }

    /// The checkpoint that the fleet wants for this episode, or the run's own when it cannot be had: a canary that is not
    /// served stops no robot.
    private func assignedPolicy(_ answer: Groot_V1_AssignRunConfigResponse) async -> PolicyDescription {
        // A flag given by hand wins.
        guard !answer.checkpoint.isEmpty, answer.checkpoint != policy.checkpoint, configuration.checkpoint == nil else {
            return policy
        }
        let problem: String
        do {
            let served = try await gateway.describe(answer.checkpoint, timeout: .seconds(2))
            let other = try PolicyMatch.select(answer.checkpoint, among: served)
            let problems = PolicyMatch.problems(
                replacing: policy,
                with: other,
                profile: profile,
                task: configuration.task
            )
            if problems.isEmpty { return other }
            problem = problems.joined(separator: "; ")
        } catch {
            problem = "\(error)"
        }
        logger.warning(
            "run configuration: the episode keeps checkpoint \(policy.checkpoint)",
            metadata: ["checkpoint": "\(answer.checkpoint)", "error": "\(problem)"]
        )
        return policy
    }

    private func announce(_ report: EpisodeReport) throws {
        metrics.finished(report)
        reports?.append(report)
        logger.info(
            "episode finished",
            metadata: [
                "episode": "\(report.id)",
                "outcome": "\(report.verdict.outcome.rawValue)",
                "reason": "\(report.verdict.reason)",
                "duration_s": "\((report.verdict.duration.seconds * 100).rounded() / 100)",
                "chunks": "\(report.counters.chunks)",
                "starved_ticks": "\(report.counters.starvedTicks)",
            ]
        )
        if report.counters.chunks != report.tally.applied {
            logger.error("chunks merged and inferences recorded disagree", metadata: ["episode": "\(report.id)"])
        }
        guard configuration.printsJSON else { return }
        TerminalConsole.shared.say(try report.jsonLine())
    }
}

/// The reports of a run, for whoever compares them.
package final class ReportCollection: Sendable {
    private let reports = Mutex<[EpisodeReport]>([])

    package init() {}

    package var all: [EpisodeReport] { reports.withLock { $0 } }

    func append(_ report: EpisodeReport) { reports.withLock { $0.append(report) } }
}
