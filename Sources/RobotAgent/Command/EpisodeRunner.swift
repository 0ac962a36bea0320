import Foundation
import GrootAPI
import GrootCore
import Logging
import ServiceLifecycle

/// One episode: scene, home, inference, judgement, record.
struct EpisodeRunner: Sendable {
    enum Ending: Sendable {
        case completed
        /// Operator or signal: no further episode.
        case stopped
        case fault(SafetyGate.Fault)
    }

    /// How often the runner looks at outcome, keys and limits; not part of the control path.
    static let period: Duration = .milliseconds(20)

    let session: RobotSession
    let simulator: SimulatorLink?
    let homing: Homing
    let keys: OperatorKeys
    let index: Int

    private var configuration: AgentConfiguration { session.configuration }
    private var control: ControlThread { session.control }

    func run() async throws -> (EpisodeReport, Ending) {
        let id = UUID().uuidString.lowercased()
        let base = configuration.seed ?? (simulator == nil ? nil : Int64.random(in: 1...1_000_000_000))
        let seed = simulator == nil ? nil : base.map { $0 &+ Int64(index) }
        let previous = try await prepareScene(seed: seed)
        try await homing.goHome(claws: .open, mustArrive: true)
        guard let measured = session.env.measuredPose else {
            throw AgentError(.unavailable, "no joint state to start the episode from")
        }
        _ = keys.take()
        let uplink = makeUplink(id, seed: UInt64(bitPattern: seed ?? base ?? .random(in: 1...Int64.max)))
        await session.spool.append(startRequest(id, seed: seed))
        session.logger.info(
            "episode started",
            metadata: ["episode": "\(id)", "seed": "\(seed.map { "\($0)" } ?? "-")"]
        )
        let start = MonotonicInstant.now()
        control.commands.push(.beginEpisode(measured: measured))
        try await settled { $0 == .waitingForFirstChunk }
        let verdict = await withTaskGroup(of: Void.self) { group in
            group.addTask { await uplink.run(notBefore: start) }
            let verdict = await watch(uplink: uplink, seed: seed, previous: previous, from: start)
            group.cancelAll()
            return verdict
        }
        // The uplink is done: no chunk is merged and no record written after this line.
        let fault = control.status.peek()?.fault
        if verdict.outcome == .aborted { await homing.comeToRest() } else { control.commands.push(.endEpisode) }
        let status = try await settled { ![.following, .waitingForFirstChunk, .stopping].contains($0) }
        let report = EpisodeReport(
            id: id,
            robot: configuration.robot,
            index: index,
            seed: seed,
            task: configuration.task,
            mode: configuration.mode,
            checkpoint: session.policy.checkpoint,
            verdict: verdict,
            counters: status.counters,
            tally: uplink.tally
        )
        await session.spool.append(report.finishRequest)
        if let fault { return (report, .fault(fault)) }
        return (report, verdict.outcome == .aborted ? .stopped : .completed)
    }

    /// A new scene in the simulator; streaming pauses because the arms are put back by hand, so to say.
    private func prepareScene(seed: Int64?) async throws -> Int? {
        guard let simulator, let seed else { return nil }
        await homing.comeToRest()
        let previous = try await simulator.reset(seed: seed, task: configuration.task)
        let reset = MonotonicInstant.now()
        while session.env.newest().map({ $0.capturedAt < reset }) ?? true {
            guard MonotonicInstant.now() - reset < .seconds(10) else {
                throw AgentError(.unavailable, "the simulator sent no images within 10 s of a reset")
            }
            await session.env.nextFrame(limit: .milliseconds(100))
            try Task.checkCancellation()
        }
        return previous
    }

    private func watch(
        uplink: EpisodeUplink,
        seed: Int64?,
        previous: Int?,
        from start: MonotonicInstant
    ) async -> EpisodeMachine.Verdict {
        let limit = configuration.episodeTimeout ?? .seconds(simulator == nil ? 20 : 45)
        var machine = EpisodeMachine(limits: .init(episode: limit), startedAt: start)
        var line = StatusLine(mode: configuration.mode, logger: session.logger)
        while true {
            let now = MonotonicInstant.now()
            if let status = control.status.peek() {
                if status.counters.ticks > 0 { machine.firstActionExecuted(at: now) }
                if let fault = status.fault {
                    machine.aborted(reason: "safety gate: \(fault)", by: .agent, at: now)
                }
                line.update(status: status, tally: uplink.tally, at: now)
                session.metrics.update(runway: status.runway, spool: await session.spool.waitingCount)
            }
            if let seed, let judged = simulator?.outcome(seed: seed, after: previous) {
                machine.judged(judged.outcome, reason: judged.reason, by: .simulator, at: now)
            }
            switch keys.take() {
            case .success: machine.judged(.success, reason: "operator's key", by: .operator, at: now)
            case .failure: machine.judged(.failure, reason: "operator's key", by: .operator, at: now)
            case .quit: machine.aborted(reason: "operator's key", by: .operator, at: now)
            case nil: break
            }
            if Task.isShuttingDownGracefully {
                machine.aborted(reason: "the agent was asked to stop", by: .operator, at: now)
            }
            if Task.isCancelled { machine.aborted(reason: "the agent was cancelled", by: .agent, at: now) }
            machine.timePassed(now)
            if let verdict = machine.verdict { return verdict }
            // Cancellation is seen at the head of the next round.
            try? await Task.sleep(for: Self.period)
        }
    }

    /// Waits until the control thread has taken a request over.
    @discardableResult
    private func settled(_ isReached: (ControlStatus.Phase) -> Bool) async throws -> ControlStatus {
        let limit = MonotonicInstant.now() + .seconds(2)
        while MonotonicInstant.now() < limit {
            if let status = control.status.peek(), isReached(status.phase) { return status }
            // The counters are wanted even when the run is cancelled.
            await Task { try? await Task.sleep(for: .milliseconds(2)) }.value
        }
        throw AgentError(.safety, "the control thread does not answer")
    }

    private func makeUplink(_ id: String, seed: UInt64) -> EpisodeUplink {
        EpisodeUplink(
            configuration: .init(
                robot: configuration.robot,
                episode: id,
                task: configuration.task,
                mode: configuration.mode,
                threshold: configuration.threshold,
                chunkSize: configuration.chunkSize ?? session.policy.chunkSize,
                requestTimeout: configuration.requestTimeout,
                rotatesHeadCamera: configuration.rotatesHeadCamera,
                seed: seed
            ),
            policy: session.policy,
            env: session.env,
            control: control,
            gateway: session.gateway,
            spool: session.spool,
            logger: session.logger
        )
    }

    private func startRequest(_ id: String, seed: Int64?) -> Groot_V1_StartEpisodeRequest {
        var request = Groot_V1_StartEpisodeRequest()
        request.episodeID = id
        request.robot = configuration.robot
        request.boot = session.boot
        request.task = configuration.task
        request.checkpoint = session.policy.checkpoint
        request.checkpointSha256 = session.policy.sha256
        request.mode = configuration.mode.rawValue
        request.startedAtUnixNs = WallClock.unixNanoseconds()
        request.runConfigJson = configuration.json(
            chunkSize: session.policy.chunkSize,
            profile: session.env.profile.name
        )
        if let seed { request.sceneSeed = seed }
        return request
    }
}
