import Foundation
import GrootAPI
import GrootCore
import Histogram
import Logging

/// One episode: scene, home, inference, judgement, record.
struct EpisodeRunner: Sendable {
    enum Ending: Sendable {
        case completed
        /// The operator wants the same episode again.
        case again
        /// Operator or signal: no further episode.
        case stopped
        case fault(Fault)
    }

    /// How often the runner looks at outcome, keys and limits; not part of the control path.
    static let period: Duration = .milliseconds(20)

    let session: RobotSession
    let simulator: SimulatorLink?
    let steps: SessionSteps
    let desk: OperatorDesk
    let index: Int
    /// What this episode runs with: the session's configuration under the fleet's assignment.
    let configuration: AgentConfiguration

    private var control: ControlThread { session.control }

    /// The mode in force: real-time chunking needs a checkpoint that continues a prefix.
    private var mode: RequestPlanner.Mode { session.mode(of: configuration) }

    private var tuning: EpisodeTuning {
        var tuning = EpisodeTuning()
        // A prefix makes the chunks agree; averaging them again would only delay.
        tuning.aggregate = mode == .rtc ? .latestOnly : configuration.aggregate
        tuning.blend = configuration.blend
        tuning.maximumVelocity = configuration.shape.maximumVelocity
        return tuning
    }

    func run(id: String) async throws -> (EpisodeReport, Ending) {
        let base = configuration.seed ?? (simulator == nil ? nil : Int64.random(in: 1...1_000_000_000))
        let seed = simulator == nil ? nil : base.map { $0 &+ Int64(index) }
        let previous = try await prepareScene(seed: seed)
        if !configuration.isDryRun {
            try await steps.goHome(opensClaws: session.opensClaws, mustArrive: true)
        }
        desk.clear()
        let recording = session.recorder?.begin(episode: id)
        let uplink = makeUplink(id, seed: UInt64(bitPattern: seed ?? base ?? .random(in: 1...Int64.max)))
        let start = MonotonicInstant.now()
        let request = startRequest(id, seed: seed)
        await session.spool.append(request)
        session.logger.info(
            "episode started",
            metadata: [
                "episode": "\(id)", "seed": "\(seed.map { "\($0)" } ?? "-")", "config": "\(request.runConfigJson)",
            ]
        )
        if configuration.mode == .rtc, let obstacle = session.prefixObstacle {
            let message =
                "checkpoint \(session.policy.checkpoint) \(obstacle): running async with \(configuration.aggregate.rawValue)"
            await session.events.happened(.telemetry, "rtc_unsupported", message, episode: id)
        }
        while control.traces.pop() != nil {}
        try await steps.beginEpisode(tuning)
        let (verdict, isAgain, jitter) = await withTaskGroup(of: Void.self) { group in
            group.addTask { await uplink.run(notBefore: start) }
            let result = await watch(uplink: uplink, id: id, seed: seed, previous: previous, from: start)
            group.cancelAll()
            return result
        }
        // The uplink is done: no chunk is merged and no record written after this line.
        if verdict.isRunOver { control.requests.push(.leave) }
        let status = try await steps.endEpisode()
        recording?.end()
        let judged = await judged(verdict, id)
        let report = EpisodeReport(
            id: id,
            robot: configuration.robot,
            index: index,
            seed: seed,
            task: configuration.task,
            mode: mode,
            checkpoint: session.policy.checkpoint,
            verdict: judged,
            counters: status.counters,
            tally: uplink.tally,
            tick: control.clock.tick,
            jitterP99: .nanoseconds(Int64(jitter.valueAtPercentile(99))),
            notes: desk.takeNotes()
        )
        await session.spool.append(report.finishRequest)
        if let fault = status.fault {
            await session.events.happened(.safety, "stopped", session.text(of: fault), episode: id)
            return (report, .fault(fault))
        }
        if isAgain { return (report, .again) }
        return (report, verdict.isRunOver ? .stopped : .completed)
    }

    /// The verdict on an episode that only its time limit ended: the judge's, if there is one and it has one.
    private func judged(_ verdict: EpisodeMachine.Verdict, _ id: String) async -> EpisodeMachine.Verdict {
        guard verdict.outcome == .timeout, let judge = configuration.judge else { return verdict }
        let question = JudgeCommand.Question(
            robot: configuration.robot,
            episode: id,
            task: configuration.task,
            checkpoint: session.policy.checkpoint
        )
        var judged = verdict
        switch await judge.ask(question) {
        case .verdict(let outcome, let reason):
            judged.outcome = outcome
            judged.reason = reason
            judged.decidedBy = .operator
        case .none(let reason): await session.events.happened(.operator, "no_verdict", reason, episode: id)
        }
        return judged
    }

    /// A new scene in the simulator; streaming pauses because the arms are put back by hand, so to say.
    private func prepareScene(seed: Int64?) async throws -> Int? {
        guard let simulator, let seed, !configuration.isDryRun else { return nil }
        try await steps.release()
        let previous = try await simulator.reset(
            seed: seed,
            task: configuration.task,
            limit: configuration.episodeTimeout
        )
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
        id: String,
        seed: Int64?,
        previous: Int?,
        from start: MonotonicInstant
    ) async -> (EpisodeMachine.Verdict, isAgain: Bool, jitter: Histogram<UInt64>) {
        let limit = configuration.episodeTimeout ?? .seconds(simulator == nil ? 20 : 45)
        var machine = EpisodeMachine(limits: .init(episode: limit), startedAt: start)
        var line = StatusLine(mode: mode, logger: session.logger)
        var sampler = ControlSampler(tick: control.clock.tick, startedAt: start)
        var isAgain = false
        var held: HoldReason?
        while true {
            let now = MonotonicInstant.now()
            while let trace = control.traces.pop() {
                sampler.add(trace)
                session.metrics.tick(late: .nanoseconds(trace.latenessNanoseconds))
            }
            for change in session.env.inputs.takeChanges() { await session.events.happened(change, episode: id) }
            if let status = control.status.peek() {
                if status.counters.ticks > 0 { machine.firstActionExecuted(at: now) }
                // Paused by the operator, or waiting for the operator's word before a chunk.
                if status.phase == .paused { machine.paused(at: now) } else { machine.resumed(at: now) }
                if let end = status.episodeEnd {
                    isAgain = end == .ordered(.retry)
                    ended(end, status, &machine, at: now)
                }
                if status.hold != held {
                    held = status.hold
                    if let held, !held.isEndedByChunk {
                        await session.events.happened(.safety, held.label, "the arms are held", episode: id)
                    }
                }
                line.update(status: status, tally: uplink.tally, at: now)
                session.metrics.update(runway: status.runway, spool: await session.spool.waitingCount)
                if let (sample, events) = sampler.sample(status, episode: id, at: now) {
                    await session.spool.append(sample)
                    for event in events {
                        await session.events.happened(.safety, event.name, event.message, episode: id)
                    }
                }
            }
            if let seed, let judged = simulator?.outcome(seed: seed, after: previous) {
                machine.judged(judged.outcome, reason: judged.reason, by: .simulator, at: now)
            }
            while let (wish, origin) = desk.take() {
                await session.events.happened(.operator, wish.rawValue, origin, episode: id)
            }
            if Task.isCancelled {
                machine.aborted(reason: "the agent was cancelled", by: .agent, endsRun: true, at: now)
            }
            machine.timePassed(now)
            if let verdict = machine.verdict {
                line.finish()
                return (verdict, isAgain, sampler.total)
            }
            // Cancellation is seen at the head of the next round.
            try? await Task.sleep(for: Self.period)
        }
    }

    /// What the session machine made of an order or a fault, as the episode's outcome.
    private func ended(
        _ end: SessionStatus.EpisodeEnd,
        _ status: SessionStatus,
        _ machine: inout EpisodeMachine,
        at now: MonotonicInstant
    ) {
        guard case .ordered(let order) = end else {
            let reason = status.fault.map(session.text) ?? "the session machine ended the episode"
            return machine.aborted(reason: "safety: \(reason)", by: .agent, at: now)
        }
        let reason = "operator's \(desk.origin(of: order))"
        switch order {
        case .success: machine.judged(.success, reason: reason, by: .operator, at: now)
        case .failure: machine.judged(.failure, reason: reason, by: .operator, at: now)
        case .retry: machine.aborted(reason: "\(reason): retry", by: .operator, at: now)
        case .stop, .home, .pause, .resume: machine.aborted(reason: reason, by: .operator, at: now)
        case .interrupt where status.leaveOrder == nil: machine.aborted(reason: reason, by: .operator, at: now)
        case .quit: machine.aborted(reason: reason, by: .operator, endsRun: true, at: now)
        case .interrupt, .terminate, .lostTerminal:
            machine.aborted(reason: "the agent was asked to stop", by: .operator, endsRun: true, at: now)
        }
    }

    private func makeUplink(_ id: String, seed: UInt64) -> EpisodeUplink {
        let chunkSize = configuration.rows(of: session.policy)
        var encoder = ObservationEncoder.Configuration(
            robot: configuration.robot,
            task: configuration.task,
            rows: configuration.shape.rows(of: chunkSize),
            seed: seed
        )
        encoder.rotatesHeadCamera = configuration.rotatesHeadCamera
        encoder.format = configuration.imageFormat
        encoder.zeroesState = configuration.zeroesState
        encoder.zeroedCameras = configuration.zeroedCameras
        var uplink = EpisodeUplink.Configuration(
            episode: id,
            mode: mode,
            threshold: configuration.threshold,
            chunkSize: chunkSize,
            requestTimeout: configuration.requestTimeout,
            sendsPrefix: mode == .rtc,
            encoder: encoder,
            controlNames: session.controlNames
        )
        uplink.shape = configuration.shape
        uplink.hedges = configuration.hedges
        uplink.thumbnailInterval = configuration.recording == nil ? nil : configuration.thumbnailInterval
        uplink.prefixOverlap = configuration.prefixOverlap
        let desk = desk
        let approval: (@Sendable () async -> Void)? =
            if configuration.pausesBeforeChunk { { await desk.approval() } } else { nil }
        return EpisodeUplink(
            configuration: uplink,
            policy: session.policy,
            env: session.env,
            control: control,
            gateway: session.gateway,
            spool: session.spool,
            memory: session.memory,
            events: session.events,
            approval: approval,
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
        request.mode = mode.rawValue
        request.startedAtUnixNs = WallClock.unixNanoseconds()
        request.runConfigJson = configuration.json(
            policy: session.policy,
            profile: session.env.profile,
            mode: mode
        )
        request.runConfigName = configuration.runConfigName
        request.runConfigVersion = configuration.runConfigVersion
        if let seed { request.sceneSeed = seed }
        return request
    }
}
