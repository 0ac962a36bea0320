import Foundation
import GrootAPI
import GrootCore
import Logging
import ROS1
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

    /// Whether the claws open on the way to an episode; else they keep their grip.
    var opensClaws: Bool { profile.claw.opensBetweenEpisodes == true }

    /// A fault in words, joints by name.
    func text(of fault: Fault) -> String {
        fault.text(
            names: profile.arm.commandNames + profile.claw.commandNames,
            limits: SafetyGate.Limits(profile, dimensions: controlNames.count)
        )
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
        let steps = SessionSteps(
            env: env,
            control: control,
            names: profile.arm.commandNames,
            frozen: configuration.frozenArm?.dimensions(of: profile) ?? [],
            logger: logger
        )
        let result: Result<ProcessExit, any Error>
        do {
            if !configuration.isDryRun {
                if let head = profile.head { try await HeadPose(pose: head, node: node, logger: logger).take() }
                guardian.start(configuration: configuration, profile: profile)
                try await modes.takeControl()
            }
            _ = readiness.take()
            result = .success(
                try await steps.whileDriving { try await episodes(simulator: simulator, steps: steps) }
            )
        } catch let over as SessionOver {
            result =
                over.status.fault.map { .failure(AgentError(.safety, "the arms were stopped: \(text(of: $0))")) }
                ?? .success(.ok)
        } catch {
            result = .failure(error)
        }
        readiness.store("shutting down")
        // Handing back must happen even when this task is cancelled.
        let failure: AgentError? = await Task { [control, configuration, env] in
            await steps.leave()
            defer {
                env.inputs.stopWatching()
                control.requests.push(.handedBack)
                control.shutdown()
            }
            if configuration.isDryRun { return nil }
            if control.status.peek()?.fault == .superseded {
                // What another process commands is not this one's to hand back.
                guardian.dismiss()
                return nil
            }
            return await guardian.handBack(through: modes)
        }.value
        if var failure {
            if case .failure(let error) = result { failure.cause = error }
            throw failure
        }
        return try result.get()
    }

    private func episodes(simulator: SimulatorLink?, steps: SessionSteps) async throws -> ProcessExit {
        let desk = OperatorDesk(orders: control.orders)
        desk.listenToKeys()
        try await desk.offerServices(on: node)
        let lead = SessionLead(
            desk: desk,
            isAttended: configuration.isAttended && simulator == nil && !configuration.isDryRun,
            node: node.name,
            logger: logger
        )
        var succeeded = 0
        var index = 0
        while index < configuration.episodes {
            try await steps.clear()
            try await lead.mayBegin(index, of: configuration.episodes) { try await steps.clear() }
            let id = UUID().uuidString.lowercased()
            let (configuration, policy) = await assigned(episode: id)
            var session = self
            session.policy = policy
            let runner = EpisodeRunner(
                session: session,
                simulator: simulator,
                steps: steps,
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
            case .fault(let fault): throw AgentError(.safety, "the arms were stopped: \(text(of: fault))")
            }
            let isLast = index == configuration.episodes
            if !configuration.isDryRun, simulator == nil || isLast {
                // A box that is still held would fall if the claws opened.
                let opensClaws = opensClaws && report.verdict.outcome.isSuccess
                try await steps.goHome(opensClaws: opensClaws, mustArrive: simulator == nil)
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
