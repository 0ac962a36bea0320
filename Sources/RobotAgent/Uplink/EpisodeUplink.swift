import Foundation
import GRPCCore
import GrootAPI
package import GrootCore
package import Logging
import Synchronization

/// What one episode's requests added up to.
package struct UplinkTally: Sendable {
    package var observations: UInt64 = 0
    /// Records written with status OK.
    package var applied: UInt64 = 0
    package var failed: UInt64 = 0
    /// Capture until merge, of the applied ones.
    package var latencies: [Duration] = []
    package var workers: [String: Int] = [:]
    package var lastObservation: MonotonicInstant?
    package var lastChunk: MonotonicInstant?

    package init() {}

    /// Quantile of the latencies, nil without any.
    package func latency(_ quantile: Double) -> Duration? {
        guard !latencies.isEmpty else { return nil }
        let rank = Int((Double(latencies.count) * quantile).rounded(.up))
        return latencies.sorted()[min(max(rank - 1, 0), latencies.count - 1)]
    }
}

/// Keeps the plan filled during one episode: observation out, chunk in, record written.
///
/// Runs as one task, one request in flight. A failed request costs a pause and a newer observation,
/// never the episode.
package final class EpisodeUplink: Sendable {
    package struct Configuration: Sendable {
        package var robot: String
        package var episode: String
        package var task: String
        package var mode: RequestPlanner.Mode
        package var threshold: Double
        package var chunkSize: Int
        package var requestTimeout: Duration
        package var rotatesHeadCamera: Bool
        package var seed: UInt64
    }

    private let configuration: Configuration
    private let policy: PolicyDescription
    private let env: GrabBoxMpcEnv
    private let control: ControlThread
    private let gateway: GatewayClient
    private let spool: TelemetrySpool
    private let logger: Logger
    private let state = Mutex(UplinkTally())
    private let headKeys: Set<String>

    package init(
        configuration: Configuration,
        policy: PolicyDescription,
        env: GrabBoxMpcEnv,
        control: ControlThread,
        gateway: GatewayClient,
        spool: TelemetrySpool,
        logger: Logger
    ) {
        self.configuration = configuration
        self.policy = policy
        self.env = env
        self.control = control
        self.gateway = gateway
        self.spool = spool
        self.logger = logger
        self.headKeys = Set(env.profile.cameras.filter(\.isHead).map(\.key))
    }

    package var tally: UplinkTally { state.withLock { $0 } }

    /// Serves until cancelled or until the control thread left the episode.
    ///
    /// - Parameter start: images from before this instant belong to an earlier scene.
    package func run(notBefore start: MonotonicInstant) async {
        var planner = RequestPlanner(
            mode: configuration.mode,
            threshold: configuration.threshold,
            chunkSize: configuration.chunkSize
        )
        var lastCapture = start
        var failures = RateLimit(every: .seconds(1))
        var index: UInt64 = 0
        while !Task.isCancelled {
            guard let status = control.status.peek() else { return }
            let runway = status.phase == .waitingForFirstChunk ? .zero : status.runway
            if case .wait(let pause) = planner.decide(runway: runway, at: .now()) {
                // Cancellation ends the loop at its head.
                try? await Task.sleep(for: min(pause, .milliseconds(50)))
                continue
            }
            guard let observation = await observe(after: lastCapture) else { continue }
            lastCapture = observation.capturedAt
            index += 1
            do {
                try await exchange(observation, index: index)
                planner.succeeded()
            } catch {
                if Task.isCancelled || error is CancellationError { return }
                planner.failed(at: .now(), jitter: .random(in: 0...1))
                if let suppressed = failures.admit(at: .now()) {
                    logger.warning(
                        "an inference failed; asking again with a newer observation",
                        metadata: ["error": "\(error)", "suppressed": "\(suppressed)"]
                    )
                }
            }
        }
    }

    /// The newest camera set while it is at most one camera period old, else the next one.
    ///
    /// In sync mode always the next one, because the newest may show the robot still moving.
    private func observe(after last: MonotonicInstant) async -> GrabBoxMpcEnv.Aligned? {
        let asked = MonotonicInstant.now()
        var floor = last
        if configuration.mode == .async, let newest = env.newest(), newest.capturedAt > last {
            if asked - newest.capturedAt <= env.cameraPeriod { return newest }
            floor = newest.capturedAt
        } else if configuration.mode == .sync {
            floor = max(floor, asked)
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

    private func exchange(_ observation: GrabBoxMpcEnv.Aligned, index: UInt64) async throws {
        let encodeStart = MonotonicInstant.now()
        let request = encode(observation, index: index)
        let sent = MonotonicInstant.now()
        let runway = runwayNow
        state.withLock {
            $0.observations += 1
            $0.lastObservation = sent
        }
        var record = Groot_V1_InferenceRecord()
        record.episodeID = configuration.episode
        record.requestID = request.requestID
        record.observationIndex = index
        record.checkpoint = policy.checkpoint
        record.capturedAtUnixNs = WallClock.unixNanoseconds() - (sent - observation.capturedAt).nanoseconds
        record.runwayAtSendNs = runway.nanoseconds
        record.skewNs = UInt64(max(0, observation.skew.nanoseconds))
        record.encodeNs = UInt64(max(0, (sent - encodeStart).nanoseconds))
        record.requestBytes = UInt64(request.images.reduce(0) { $0 + $1.data.count } + 4 * request.stateValues.count)
        do {
            let answer = try await gateway.infer(request, runway: runway, timeout: configuration.requestTimeout)
            let received = MonotonicInstant.now()
            record.worker = answer.worker
            record.attempts = answer.attempts
            record.roundTripNs = UInt64((received - sent).nanoseconds)
            record.timings = answer.response.timings
            record.batchSize = answer.response.batchSize
            record.rows = answer.response.rows
            let chunk = try InferenceAnswer.chunk(
                answer.response,
                requestID: request.requestID,
                order: env.profile.actionNames
            )
            let report = try await merge(chunk, observation: observation, id: index)
            record.runwayAtArrivalNs = report.runwayAtArrival.nanoseconds
            guard case .applied(let stale)? = report.result else {
                throw RPCError(
                    code: .aborted,
                    message:
                        "the chunk was not applied: \(report.result.map { "\($0)" } ?? "the episode had ended or the gate refused it")"
                )
            }
            record.staleRows = UInt32(stale)
            record.status = "OK"
            let merged = MonotonicInstant.now()
            record.latencyNs = UInt64((merged - observation.capturedAt).nanoseconds)
            state.withLock {
                $0.applied += 1
                $0.latencies.append(merged - observation.capturedAt)
                $0.workers[answer.worker, default: 0] += 1
                $0.lastChunk = merged
            }
            await spool.append(record)
        } catch {
            // The episode ended while the request was on its way: neither a failure nor an inference.
            if Task.isCancelled, record.runwayAtArrivalNs == 0, !(error is AgentError) { throw CancellationError() }
            let failure = error as? RPCError
            record.status = failure.map { StatusName.of($0.code) } ?? "INTERNAL"
            record.message = failure?.message ?? "\(error)"
            record.latencyNs = UInt64((MonotonicInstant.now() - observation.capturedAt).nanoseconds)
            if record.runwayAtArrivalNs == 0 { record.runwayAtArrivalNs = runwayNow.nanoseconds }
            state.withLock { $0.failed += 1 }
            await spool.append(record)
            throw error
        }
    }

    private func encode(_ observation: GrabBoxMpcEnv.Aligned, index: UInt64) -> Groot_V1_InferRequest {
        var request = Groot_V1_InferRequest()
        request.robot = configuration.robot
        request.requestID = UUID().uuidString.lowercased()
        request.checkpoint = policy.checkpoint
        request.observationIndex = index
        request.capturedTick = UInt64(max(0, control.clock.tick(of: observation.capturedAt)))
        request.capturedAtNs = observation.capturedAt.nanoseconds
        request.task = configuration.task
        request.stateNames = env.profile.stateNames
        request.stateValues = observation.state
        request.maxRows = UInt32(configuration.chunkSize)
        request.noiseSeed = NoiseSeed.of(episode: configuration.seed, observation: index)
        request.images = policy.images.compactMap { input in
            guard var frame = observation.frames[input.key] else { return nil }
            frame = frame.resized(width: input.width, height: input.height)
            if configuration.rotatesHeadCamera, headKeys.contains(input.key) { frame = frame.rotated180() }
            var image = Groot_V1_Image()
            image.key = input.key
            image.encoding = .rgb8
            image.width = UInt32(frame.width)
            image.height = UInt32(frame.height)
            image.data = Data(frame.pixels)
            return image
        }
        return request
    }

    /// Hands the chunk to the control thread and waits for its verdict, at most a few ticks.
    private func merge(
        _ chunk: ActionChunk,
        observation: GrabBoxMpcEnv.Aligned,
        id: UInt64
    ) async throws -> MergeReport {
        control.commands.push(
            .merge(
                ChunkArrival(
                    id: id,
                    chunk: chunk,
                    capturedTick: configuration.mode == .sync ? nil : control.clock.tick(of: observation.capturedAt),
                    measured: observation.state
                )
            )
        )
        // The verdict must not be missed when the episode is cancelled meanwhile: it decides a counter.
        let limit = MonotonicInstant.now() + .seconds(1)
        while MonotonicInstant.now() < limit {
            while let report = control.merges.pop() {
                if report.id == id { return report }
            }
            await pauseUncancelled(.milliseconds(2))
        }
        throw AgentError(.unavailable, "the control thread did not answer within a second")
    }

    private func pauseUncancelled(_ pause: Duration) async {
        // A fresh task does not inherit the cancellation of the episode.
        await Task.detached { try? await Task.sleep(for: pause) }.value
    }

    private var runwayNow: Duration {
        guard let status = control.status.peek(), status.phase != .waitingForFirstChunk else { return .zero }
        return status.runway
    }
}
