import GRPCCore
import GrootAPI
import GrootCore
import Synchronization

@testable import RobotAgent

/// What the scripted gateway was told and how it answers. Any thread.
final class ScriptedFleet: Sendable {
    private struct State {
        var finished: [Groot_V1_FinishEpisodeRequest] = []
        var started: [Groot_V1_StartEpisodeRequest] = []
        var records: [Groot_V1_InferenceRecord] = []
        var samples: [Groot_V1_ControlSample] = []
        var events: [Groot_V1_Event] = []
        var boots: [String] = []
        var inferences = 0
        var failEverySecond = false
        var trouble: Trouble?
        var isDown = false
        var offset: Float = 0
        var supportsPrefix = true
        var assignment = Groot_V1_AssignRunConfigResponse()
        var requests: [Groot_V1_InferRequest] = []
        var home: [Float]?
        var claw: @Sendable (_ inference: Int) -> Float = { _ in 0 }
        var policy = Policy()
        var answers: [Answer] = []
    }

    /// What the policy is like; its rows are relative to the state that was sent.
    struct Policy: Sendable {
        var rowsPerSecond = 10
        var rows = 16
        /// From the question to the answer.
        var latency = Duration.zero
        /// Of every arm joint from the state, rad, by number of the inference, counted from 1, and row.
        var displacement: @Sendable (_ inference: Int, _ row: Int) -> Float = { 0.01 * Float($1 % 4) }

        var period: Duration { .nanoseconds(Int64((1e9 / Double(rowsPerSecond)).rounded())) }
    }

    /// An answer that left.
    struct Answer: Sendable {
        var inference: Int
        var request: Groot_V1_InferRequest
        var at: MonotonicInstant
    }

    /// What inference suffers from.
    enum Trouble: Sendable {
        /// Requests are taken and not answered.
        case hangs
        /// The gateway says that no worker is there.
        case noWorkers
    }

    private let state = Mutex(State())

    var trouble: Trouble? {
        get { state.withLock { $0.trouble } }
        set { state.withLock { $0.trouble = newValue } }
    }
    var finished: [Groot_V1_FinishEpisodeRequest] { state.withLock { $0.finished } }
    var started: [Groot_V1_StartEpisodeRequest] { state.withLock { $0.started } }
    var records: [Groot_V1_InferenceRecord] { state.withLock { $0.records } }
    var samples: [Groot_V1_ControlSample] { state.withLock { $0.samples } }
    var events: [Groot_V1_Event] { state.withLock { $0.events } }
    var boots: [String] { state.withLock { $0.boots } }
    var failEverySecondInference: Bool {
        get { state.withLock { $0.failEverySecond } }
        set { state.withLock { $0.failEverySecond = newValue } }
    }
    var isControlPlaneDown: Bool {
        get { state.withLock { $0.isDown } }
        set { state.withLock { $0.isDown = newValue } }
    }
    /// Added to every arm target, rad.
    var offset: Float {
        get { state.withLock { $0.offset } }
        set { state.withLock { $0.offset = newValue } }
    }

    /// What the policy says of itself.
    var supportsPrefix: Bool {
        get { state.withLock { $0.supportsPrefix } }
        set { state.withLock { $0.supportsPrefix = newValue } }
    }
    /// The run configuration of the next episode.
    var assignment: Groot_V1_AssignRunConfigResponse {
        get { state.withLock { $0.assignment } }
        set { state.withLock { $0.assignment = newValue } }
    }
    /// Inferences asked for so far.
    var inferences: Int { state.withLock { $0.inferences } }

    /// Everything that was asked so far.
    var requests: [Groot_V1_InferRequest] { state.withLock { $0.requests } }
    /// Chunks swing around this pose of the arms (rad), whatever state was sent.
    var home: [Float]? {
        get { state.withLock { $0.home } }
        set { state.withLock { $0.home = newValue } }
    }
    var policy: Policy {
        get { state.withLock { $0.policy } }
        set { state.withLock { $0.policy = newValue } }
    }
    var answers: [Answer] {
        get { state.withLock { $0.answers } }
        set { state.withLock { $0.answers = newValue } }
    }
    /// Command of both claws by number of the inference, counted from 1.
    var claw: @Sendable (Int) -> Float {
        get { state.withLock { $0.claw } }
        set { state.withLock { $0.claw = newValue } }
    }

    func inferenceFails(_ request: Groot_V1_InferRequest) -> Bool {
        state.withLock { state in
            state.requests.append(request)
            state.inferences += 1
            return state.failEverySecond && state.inferences % 2 == 1
        }
    }

    func register(_ request: Groot_V1_RegisterRobotRequest) throws {
        try change { $0.boots.append(request.boot) }
    }

    func start(_ request: Groot_V1_StartEpisodeRequest) throws {
        try change { $0.started.append(request) }
    }

    func finish(_ request: Groot_V1_FinishEpisodeRequest) throws {
        try change { $0.finished.append(request) }
    }

    func report(_ request: Groot_V1_ReportTelemetryRequest) throws -> UInt64 {
        try change {
            $0.records += request.inferences
            $0.samples += request.controlSamples
            $0.events += request.events
        }
        // One sequence for all kinds.
        let sequences =
            request.inferences.map(\.sequence) + request.controlSamples.map(\.sequence) + request.events.map(\.sequence)
        return sequences.max() ?? 0
    }

    private func change(_ body: (inout State) -> Void) throws {
        try state.withLock { state in
            if state.isDown { throw RPCError(code: .unavailable, message: "the database is down") }
            body(&state)
        }
    }
}

struct ScriptedFleetService: Groot_V1_Fleet.SimpleServiceProtocol {
    let fleet: ScriptedFleet

    func registerRobot(
        request: Groot_V1_RegisterRobotRequest,
        context: ServerContext
    ) async throws -> Groot_V1_RegisterRobotResponse {
        try fleet.register(request)
        return Groot_V1_RegisterRobotResponse()
    }

    func startEpisode(
        request: Groot_V1_StartEpisodeRequest,
        context: ServerContext
    ) async throws -> Groot_V1_StartEpisodeResponse {
        try fleet.start(request)
        return Groot_V1_StartEpisodeResponse()
    }

    func finishEpisode(
        request: Groot_V1_FinishEpisodeRequest,
        context: ServerContext
    ) async throws -> Groot_V1_FinishEpisodeResponse {
        try fleet.finish(request)
        return Groot_V1_FinishEpisodeResponse()
    }

    func reportTelemetry(
        request: Groot_V1_ReportTelemetryRequest,
        context: ServerContext
    ) async throws -> Groot_V1_ReportTelemetryResponse {
        var response = Groot_V1_ReportTelemetryResponse()
        response.committedSequence = try fleet.report(request)
        return response
    }

    func assignRunConfig(
        request: Groot_V1_AssignRunConfigRequest,
        context: ServerContext
    ) async throws -> Groot_V1_AssignRunConfigResponse {
        fleet.assignment
    }

    func registerWorker(
        request: Groot_V1_RegisterWorkerRequest,
        context: ServerContext
    ) async throws -> Groot_V1_RegisterWorkerResponse {
        throw RPCError(code: .unimplemented, message: "no workers join here")
    }
}

/// Answers with a slow swing of every joint around what was measured.
struct ScriptedInferenceService: Groot_V1_Inference.SimpleServiceProtocol {
    let fleet: ScriptedFleet

    func describe(request: Groot_V1_DescribeRequest, context: ServerContext) async throws -> Groot_V1_DescribeResponse {
        let profile = try ProfileCatalog.load("simulator")
        var response = Groot_V1_DescribeResponse()
        response.worker = "w-scripted"
        response.policies = [
            Groot_V1_Policy(
                PolicyDescription(
                    checkpoint: "groot-mini",
                    policyType: "groot_mini",
                    sha256: "00",
                    runtime: "scripted",
                    images: profile.cameras.map { .init(key: $0.key, width: 8, height: 8) },
                    stateNames: profile.stateNames,
                    actionNames: profile.actionNames,
                    chunkSize: fleet.policy.rows,
                    actionPeriod: fleet.policy.period,
                    supportsPrefix: fleet.supportsPrefix,
                    maxTaskBytes: 96
                )
            )
        ]
        return response
    }

    func infer(request: Groot_V1_InferRequest, context: ServerContext) async throws -> Groot_V1_InferResponse {
        if fleet.inferenceFails(request) { throw RPCError(code: .resourceExhausted, message: "the queue is full") }
        // Cancellation ends the wait of a request that nobody waits for any more.
        while fleet.trouble == .hangs { try await Task.sleep(for: .milliseconds(20)) }
        if fleet.trouble == .noWorkers {
            var metadata: Metadata = [:]
            metadata.addString("0", forKey: MetadataKey.attempts)
            throw RPCError(code: .unavailable, message: "no worker available", metadata: metadata)
        }
        guard request.images.count == 2, request.images.allSatisfy({ $0.data.count == 8 * 8 * 3 }),
            request.stateValues.count == 16, request.noiseSeed != 0
        else { throw RPCError(code: .invalidArgument, message: "unexpected observation") }
        let profile = try ProfileCatalog.load("simulator")
        let (policy, inference) = (fleet.policy, fleet.inferences)
        if policy.latency > .zero { try await Task.sleep(for: policy.latency) }
        var response = Groot_V1_InferResponse()
        response.requestID = request.requestID
        response.worker = "w-scripted"
        response.checkpoint = "groot-mini"
        response.checkpointSha256 = "00"
        response.rows = UInt32(policy.rows)
        response.actionNames = profile.actionNames
        response.actionPeriodNs = policy.period.nanoseconds.magnitude
        response.batchSize = 1
        let offset = fleet.offset
        let claw = fleet.claw(inference)
        let base = fleet.home.map { $0 + [0, 0] } ?? request.stateValues
        for row in 0..<policy.rows {
            for (index, value) in base.enumerated() {
                response.values.append(
                    index < 14 ? value + offset + policy.displacement(inference, row) : claw
                )
            }
        }
        fleet.answers.append(ScriptedFleet.Answer(inference: inference, request: request, at: .now()))
        return response
    }
}
