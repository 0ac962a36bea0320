import GRPCCore
import GrootAPI
import GrootCore

/// Brings an answer into the control loop's order and units and gives it to the control thread, whose verdict it awaits.
struct ChunkHandover: Sendable {
    private let policy: PolicyDescription
    private let profile: RobotProfile
    /// Names of the control loop's dimensions.
    private let controlNames: [String]
    private let shape: ChunkShape
    private let isSync: Bool
    private let control: ControlThread
    private let approval: (@Sendable () async -> Void)?
    private let handPoses: HandPoses?

    init(
        policy: PolicyDescription,
        profile: RobotProfile,
        controlNames: [String],
        shape: ChunkShape,
        isSync: Bool,
        control: ControlThread,
        approval: (@Sendable () async -> Void)?
    ) {
        self.policy = policy
        self.profile = profile
        self.controlNames = controlNames
        self.shape = shape
        self.isSync = isSync
        self.control = control
        self.approval = approval
        handPoses = HandPoses(policy: policy, profile: profile)
    }

    /// - Parameters:
    ///   - state: arms (rad) and claws (0 to 100) of the observation that was answered.
    ///   - capturedTick: control tick of that observation.
    ///   - id: what the control thread's report is recognised by.
    /// - Throws: `RPCError` for an answer that is no chunk of this policy; `AgentError` when no verdict comes within a
    ///   second.
    func apply(
        _ response: Groot_V1_InferResponse,
        to requestID: String,
        measured state: [Float],
        capturedTick: Int64,
        id: UInt64
    ) async throws -> MergeReport {
        let measured = state + Array(repeating: 0, count: controlNames.count - state.count)
        let fallback = Dictionary(uniqueKeysWithValues: zip(controlNames, measured))
            .filter { !policy.actionNames.contains($0.key) }
        let whole = try InferenceAnswer.chunk(
            handPoses?.joints(response, from: measured) ?? response,
            of: policy,
            requestID: requestID,
            order: controlNames,
            fallback: fallback
        )
        guard var chunk = shape.selected(whole) else {
            throw RPCError(code: .aborted, message: "--chunk-start \(shape.start) leaves no row of \(whole.rows)")
        }
        if let approval {
            // Standing still for the operator is no starvation, however long it takes.
            control.requests.push(.askedApproval)
            await approval()
            try Task.checkCancellation()
            control.requests.push(.approved)
        }
        if isSync { chunk = shape.paced(chunk, from: measured, arms: profile.armJoints) }
        control.requests.push(
            .merge(
                ChunkArrival(
                    id: id,
                    chunk: chunk,
                    capturedTick: isSync
                        ? nil : capturedTick + (shape.start == 0 ? 0 : control.board.grid.tick(ofRow: shape.start - 1)),
                    observedTick: capturedTick
                )
            )
        )
        return try await verdict(of: id)
    }

    /// Must not be missed when the episode is cancelled meanwhile: it decides a counter.
    private func verdict(of id: UInt64) async throws -> MergeReport {
        let limit = MonotonicInstant.now() + .seconds(1)
        while MonotonicInstant.now() < limit {
            while let report = control.merges.pop() {
                if report.id == id { return report }
            }
            // A fresh task does not inherit the cancellation of the episode.
            await Task.detached { try? await Task.sleep(for: .milliseconds(2)) }.value
        }
        throw AgentError(.unavailable, "the control thread did not answer within a second")
    }
}
