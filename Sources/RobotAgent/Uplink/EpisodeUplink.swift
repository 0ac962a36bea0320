import Foundation
import GRPCCore
import GrootAPI
package import GrootCore
package import Logging
import Synchronization

/// Keeps the plan filled during one episode: observation out, chunk in, record written.
///
/// Runs as one task, one request in flight. A failed request costs a pause and a newer observation,
/// never the episode.
package final class EpisodeUplink: Sendable {
    package struct Configuration: Sendable {
        package var episode: String
        package var mode: RequestPlanner.Mode
        package var threshold: RequestPlanner.Threshold
        package var chunkSize: Int
        package var requestTimeout: Duration
        package var shape = ChunkShape()
        /// The policy continues a prefix; decided by mode and checkpoint.
        package var sendsPrefix: Bool
        package var hedges = false
        /// Rows of a prefix behind the frozen ones.
        package var prefixOverlap = 0
        package var encoder: ObservationEncoder.Configuration
        /// Names of the control loop's dimensions.
        package var controlNames: [String]
        /// Thumbnails of what the policy sees are taken this often; nil takes none.
        package var thumbnailInterval: Duration?
    }

    /// How often the control thread is told what the link is like.
    private static let linkPeriod = Duration.milliseconds(50)

    private let configuration: Configuration
    private let policy: PolicyDescription
    private let env: any ObservationSource
    private let control: ControlThread
    private let gateway: GatewayClient
    private let spool: TelemetrySpool
    private let memory: LatencyMemory
    private let events: EventLog
    private let encoder: ObservationEncoder
    private let thumbnails: ThumbnailTaker?
    private let handover: ChunkHandover
    private let logger: Logger
    private let state = Mutex(UplinkTally())
    private let link = Mutex(LinkWatch())

    /// - Parameter approval: waits for an operator before a chunk is executed (`--pause-before-chunk`).
    package init(
        configuration: Configuration,
        policy: PolicyDescription,
        env: any ObservationSource,
        control: ControlThread,
        gateway: GatewayClient,
        spool: TelemetrySpool,
        memory: LatencyMemory,
        events: EventLog,
        approval: (@Sendable () async -> Void)? = nil,
        logger: Logger
    ) {
        self.configuration = configuration
        self.policy = policy
        self.env = env
        self.control = control
        self.gateway = gateway
        self.spool = spool
        self.memory = memory
        self.events = events
        self.logger = logger
        handover = ChunkHandover(
            policy: policy,
            profile: env.profile,
            controlNames: configuration.controlNames,
            shape: configuration.shape,
            isSync: configuration.mode == .sync,
            control: control,
            approval: approval
        )
        self.encoder = ObservationEncoder(configuration: configuration.encoder, policy: policy, profile: env.profile)
        thumbnails = configuration.thumbnailInterval.map { interval in
            let upsideDown = configuration.encoder.rotatesHeadCamera ? env.profile.cameras.filter(\.isHead) : []
            return ThumbnailTaker(
                episode: configuration.episode,
                interval: interval,
                rotated: Set(upsideDown.map(\.key)),
                spool: spool
            )
        }
    }

    package var tally: UplinkTally { state.withLock { $0 } }

    /// Serves until cancelled or until the control thread left the episode.
    ///
    /// - Parameter start: images from before this instant belong to an earlier scene.
    package func run(notBefore start: MonotonicInstant) async {
        var planner = RequestPlanner(
            mode: configuration.mode,
            threshold: configuration.threshold,
            chunk: min(
                policy.actionPeriod * configuration.shape.rows(of: configuration.chunkSize),
                // What is older is not executed, however many rows are left.
                .milliseconds(Int64(env.profile.limits.staleActionMs))
            ),
            latencies: memory.current.ask
        )
        var lastCapture = start
        var failures = RateLimit(every: .seconds(1))
        var index: UInt64 = 0
        async let _: Void = reportLink()
        defer { control.link.store(.reachable, ordering: .relaxed) }
        while !Task.isCancelled {
            guard let status = control.status.peek() else { return }
            guard status.wantsChunks else {
                // Cancellation ends the loop at its head.
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            let runway = status.phase == .waiting ? .zero : status.runway
            let asked = MonotonicInstant.now()
            if case .wait(let pause) = planner.decide(runway: runway, at: asked) {
                // Cancellation ends the loop at its head.
                try? await Task.sleep(for: min(pause, .milliseconds(50)))
                continue
            }
            guard let observation = await observe(after: lastCapture) else { continue }
            lastCapture = observation.capturedAt
            index += 1
            async let _: Void? = thumbnails?.take(observation)
            link.withLock { $0.asked(at: .now()) }
            do {
                let hint = try await exchange(observation, index: index, asked: asked)
                planner.succeeded(at: .now())
                await ended(.answered, nil)
                if let hint { planner.askedToWait(hint, runway: runwayNow, at: .now()) }
            } catch {
                if Task.isCancelled || error is CancellationError { return }
                planner.failed(at: .now(), jitter: .random(in: 0...1))
                await ended(LinkWatch.Ending(error), error)
                if let suppressed = failures.admit(at: .now()) {
                    logger.warning(
                        "an inference failed; asking again with a newer observation",
                        metadata: ["error": "\(error)", "suppressed": "\(suppressed)"]
                    )
                }
            }
        }
    }

    /// A request came to an end: what that says of the link goes to people when it changes.
    private func ended(_ ending: LinkWatch.Ending, _ error: (any Error)?) async {
        let (before, after) = link.withLock { link in
            let before = link.state
            link.ended(ending)
            return (before, link.state)
        }
        guard before != after else { return }
        let name =
            switch (before, after) {
            case (_, .silent): "gateway_lost"
            case (_, .noWorkers): "workers_lost"
            case (.noWorkers, .reachable): "workers_back"
            default: "gateway_back"
            }
        await events.happened(.link, name, error.map { "\($0)" } ?? "", episode: configuration.episode)
    }

    /// Tells the control thread how the link is, also while a request waits.
    private func reportLink() async {
        while !Task.isCancelled {
            control.link.store(link.withLock { $0.state(at: .now()) }, ordering: .relaxed)
            // Cancellation is seen at the loop's head.
            try? await Task.sleep(for: Self.linkPeriod)
        }
    }

    /// The newest camera set while it is at most one camera period old, else the next one.
    ///
    /// In sync mode always the next one, because the newest may show the robot still moving.
    private func observe(after last: MonotonicInstant) async -> ObservationBuffers.Aligned? {
        let asked = MonotonicInstant.now()
        var floor = last
        if configuration.mode == .sync {
            floor = max(floor, asked)
        } else if let newest = env.newest(), newest.capturedAt > last {
            if asked - newest.capturedAt <= env.cameraPeriod { return newest }
            floor = newest.capturedAt
        }
        var silence = RateLimit(every: .seconds(1))
        _ = silence.admit(at: asked)
        while !Task.isCancelled {
            await env.nextFrame(limit: .milliseconds(200))
            if let next = env.newest(), next.capturedAt > floor { return next }
            let now = MonotonicInstant.now()
            if silence.admit(at: now) != nil {
                let silent = env.silentTopics(at: now)
                logger.warning(
                    "no new complete set of images",
                    metadata: ["topic": "\(silent.isEmpty ? "all alive" : silent.joined(separator: ", "))"]
                )
            }
        }
        return nil
    }

    /// - Returns: how long the gateway wants to be left alone.
    private func exchange(
        _ observation: ObservationBuffers.Aligned,
        index: UInt64,
        asked: MonotonicInstant
    ) async throws -> Duration? {
        let encodeStart = MonotonicInstant.now()
        let capturedTick = control.clock.tick(of: observation.capturedAt)
        var request = try encoder.request(observation, index: index, capturedTick: capturedTick)
        if configuration.sendsPrefix,
            let prefix = RealTimeChunking.prefix(
                from: control.board,
                capturedAt: capturedTick,
                delay: memory.current.merge.value(RealTimeChunking.quantile),
                overlap: configuration.prefixOverlap,
                policy: policy,
                order: configuration.controlNames
            )
        {
            request.prefix = prefix
        }
        let sent = MonotonicInstant.now()
        let runway = runwayNow
        let imageBytes = request.images.reduce(0) { $0 + $1.data.count }
        state.withLock {
            $0.observations += 1
            $0.lastObservation = sent
            $0.imageBytes += UInt64(imageBytes)
        }
        var record = Groot_V1_InferenceRecord(of: request, imageBytes: imageBytes, runway: runway)
        record.episodeID = configuration.episode
        record.checkpoint = policy.checkpoint
        record.capturedAtUnixNs = WallClock.unixNanoseconds() - (sent - observation.capturedAt).nanoseconds
        record.skewNs = UInt64(max(0, observation.skew.nanoseconds))
        record.encodeNs = UInt64(max(0, (sent - encodeStart).nanoseconds))
        do {
            let answer = try await gateway.infer(
                request,
                runway: runway,
                timeout: timeLimit(for: observation, at: sent),
                hedge: hedgePause
            )
            let received = MonotonicInstant.now()
            record.answered(answer, roundTrip: received - sent)
            let report = try await handover.apply(
                answer.response,
                to: request.requestID,
                measured: observation.state,
                capturedTick: capturedTick,
                id: index
            )
            record.runwayAtArrivalNs = report.runwayAtArrival.nanoseconds
            guard case .applied(let stale)? = report.result else {
                let reason = report.result.map { "\($0)" } ?? report.refusal?.rawValue ?? "refused"
                throw RPCError(code: .aborted, message: "the chunk was not applied: \(reason)")
            }
            record.staleRows = UInt32(stale)
            record.status = "OK"
            let merged = MonotonicInstant.now()
            let latency = merged - observation.capturedAt
            record.latencyNs = UInt64(latency.nanoseconds)
            memory.record(merge: latency, ask: merged - asked)
            state.withLock {
                $0.applied += 1
                $0.hedged += answer.wasHedged ? 1 : 0
                $0.latencies.append(latency)
                $0.runwaysAtArrival.append(report.runwayAtArrival)
                $0.borderSteps.append(report.borderStep)
                $0.workers[answer.worker, default: 0] += 1
                $0.lastChunk = merged
            }
            await spool.append(record)
            return answer.nextObservationAfter
        } catch {
            // The episode ended while the request was on its way: neither a failure nor an inference.
            if Task.isCancelled, record.runwayAtArrivalNs == 0, !(error is AgentError) { throw CancellationError() }
            record.failed(error)
            record.latencyNs = UInt64((MonotonicInstant.now() - observation.capturedAt).nanoseconds)
            if record.runwayAtArrivalNs == 0 { record.runwayAtArrivalNs = runwayNow.nanoseconds }
            state.withLock { $0.failed += 1 }
            await spool.append(record)
            throw error
        }
    }

    /// An answer whose last row lies in the past is worth nothing: it is not waited for.
    private func timeLimit(for observation: ObservationBuffers.Aligned, at now: MonotonicInstant) -> Duration {
        // Silence is to be noticed, and asked about again, while the arms are still held.
        let limit = min(configuration.requestTimeout, .milliseconds(Int64(env.profile.limits.holdMs * 0.75)))
        guard configuration.mode != .sync else { return limit }
        let motion = policy.actionPeriod * configuration.shape.rows(of: configuration.chunkSize)
        let useful = motion - (now - observation.capturedAt)
        return min(limit, max(useful, .milliseconds(100)))
    }

    /// A second request is worth its cost once the first takes longer than nearly all before.
    private var hedgePause: Duration? {
        guard configuration.hedges else { return nil }
        return memory.current.ask.value(0.95) ?? .milliseconds(300)
    }

    private var runwayNow: Duration {
        guard let status = control.status.peek(), status.phase != .waiting else { return .zero }
        return status.runway
    }
}
