import Foundation
import GrootAPI
import GrootCore
import Logging
import ROS1
import ServiceLifecycle

/// Everything between taking control of a ready robot and handing it back: homing and episodes.
///
/// Runs as one task. Whatever ends it, streaming stops and the profile's modes are handed back.
struct RobotSession: Sendable {
    let configuration: AgentConfiguration
    let policy: PolicyDescription
    let boot: String
    let node: ROSNode
    let env: GrabBoxMpcEnv
    let control: ControlThread
    let gateway: GatewayClient
    let spool: TelemetrySpool
    let metrics: AgentMetrics
    let readiness: LatestValue<String>
    let logger: Logger

    private var profile: RobotProfile { env.profile }

    func run() async throws -> ProcessExit {
        let modes = RobotModes(profile: profile, node: node, logger: logger)
        let simulator: SimulatorLink? =
            if let extras = profile.simulator { try await SimulatorLink(node: node, extras: extras) } else { nil }
        let homing = Homing(env: env, control: control, logger: logger)
        let result: Result<ProcessExit, any Error>
        do {
            try await modes.takeControl()
            _ = readiness.take()
            result = .success(try await episodes(simulator: simulator, homing: homing))
        } catch {
            result = .failure(error)
        }
        readiness.store("shutting down")
        // Handing back must happen even when this task is cancelled.
        await Task { [control] in
            await homing.comeToRest()
            control.shutdown()
            await modes.handBack()
        }.value
        return try result.get()
    }

    private func episodes(simulator: SimulatorLink?, homing: Homing) async throws -> ProcessExit {
        let keys = OperatorKeys()
        var succeeded = 0
        for index in 0..<configuration.episodes {
            if Task.isShuttingDownGracefully { break }
            let runner = EpisodeRunner(
                session: self,
                simulator: simulator,
                homing: homing,
                keys: keys,
                index: index
            )
            let (report, ending) = try await runner.run()
            try announce(report)
            if report.verdict.outcome.isSuccess { succeeded += 1 }
            switch ending {
            case .completed: break
            case .stopped: return .ok
            case .fault(let fault): throw AgentError(.safety, "the safety gate stopped the robot: \(fault)")
            }
            let isLast = index == configuration.episodes - 1
            if simulator == nil || isLast {
                // A box that is still held would fall if the claws opened.
                let claws = report.verdict.outcome.isSuccess ? Homing.Claws.open : .keep
                try await homing.goHome(claws: claws, mustArrive: simulator == nil)
            }
        }
        return configuration.requiresSuccess && succeeded < configuration.episodes ? .failed : .ok
    }

    private func announce(_ report: EpisodeReport) throws {
        metrics.finished(report)
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
        try FileHandle.standardOutput.write(contentsOf: Data((report.jsonLine() + "\n").utf8))
    }
}
