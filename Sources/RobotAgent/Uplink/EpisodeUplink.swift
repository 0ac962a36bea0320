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

    /// Failed requests in a row after which the gateway counts as lost.
    package static let failuresUntilLost = 2

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
            chunkSize: configuration.shape.rows(of: configuration.chunkSize),
            latencies: memory.current.ask
        )
        var lastCapture = start
        var failures = RateLimit(every: .seconds(1))
        var lost = 0
        var index: UInt64 = 0
        defer { control.link.store(.reachable, ordering: .relaxed) }
        while !Task.isCancelled {
            guard let status = control.status.peek() else { return }
            if status.phase == .paused {
                // Cancellation ends the loop at its head.
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            let runway = status.phase == .waitingForFirstChunk ? .zero : status.runway
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
            do {
                let hint = try await exchange(observation, index: index, asked: asked)
                planner.succeeded(at: .now())
                if lost >= Self.failuresUntilLost { await linkChanged(isLost: false, error: nil) }
                lost = 0
                if let hint { planner.askedToWait(hint, runway: runwayNow, at: .now()) }
            } catch {
                if Task.isCancelled || error is CancellationError { return }
                planner.failed(at: .now(), jitter: .random(in: 0...1))
                lost = GatewayClient.isLoss(error) ? lost + 1 : 0
                if lost == Self.failuresUntilLost { await linkChanged(isLost: true, error: error) }
                if let suppressed = failures.admit(at: .now()) {
                    logger.warning(
                        "an inference failed; asking again with a newer observation",
                        metadata: ["error": "\(error)", "suppressed": "\(suppressed)"]
                    )
                }
            }
        }
    }

    private func linkChanged(isLost: Bool, error: (any Error)?) async {
        control.link.store(isLost ? .silent : .reachable, ordering: .relaxed)
        await events.happened(
            .link,
            isLost ? "gateway_lost" : "gateway_back",
            error.map { "\($0)" } ?? "",
            episode: configuration.episode
        )
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
                let reason = report.result.map { "\($0)" } ?? "the episode had ended or the gate refused it"
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
        guard configuration.mode != .sync else { return configuration.requestTimeout }
        let motion = Duration.milliseconds(100) * configuration.shape.rows(of: configuration.chunkSize)
        let useful = motion - (now - observation.capturedAt)
        return min(configuration.requestTimeout, max(useful, .milliseconds(100)))
    }

    /// A second request is worth its cost once the first takes longer than nearly all before.
    private var hedgePause: Duration? {
        guard configuration.hedges else { return nil }
        return memory.current.ask.value(0.95) ?? .milliseconds(300)
    }

    private var runwayNow: Duration {
        guard let status = control.status.peek(), status.phase != .waitingForFirstChunk else { return .zero }
        return status.runway
    }
}
