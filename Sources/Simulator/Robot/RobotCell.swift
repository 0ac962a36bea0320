import Foundation
import GrootCore
import Synchronization

/// What the ROS side, the physics thread and the camera thread of one robot share.
///
/// Any thread.
final class RobotCell: Sendable {
    struct Reset: Sendable {
        var seed: Int64
        /// Empty for the scene's own sentence.
        var task: String
        var placement: TargetPlacement
        var limits: EpisodeJudge.Limits
        var done: CheckedContinuation<ResetResult, Never>?
    }

    struct ResetResult: Sendable {
        var success: Bool
        var message: String
    }

    /// What a camera needs to draw one instant.
    struct Snapshot: Sendable {
        var scene: SceneVariation
        var positions: [Double]
        /// When these positions were current.
        var capturedAt: MonotonicInstant
    }

    private struct Shared {
        var gate: ArmCommandGate
        /// Yaw and pitch in rad.
        var head: [Double] = [0, 0]
        var isStreaming = false
        var reset: Reset?
        var isClosed = false
    }

    /// Head limits of the robot, in degrees: yaw, pitch.
    static let headLimits = [80.0, 25.0]

    private let shared: Mutex<Shared>
    let snapshot = LatestValue<Snapshot>()

    init() {
        shared = Mutex(Shared(gate: ArmCommandGate(command: HomePosture.joints + [0, 0])))
    }

    func armTargetReceived(degrees: [Double]) -> ArmCommandGate.Refusal? {
        shared.withLock { shared in
            let refusal = shared.gate.armTargetReceived(degrees: degrees)
            if refusal == nil { shared.isStreaming = true }
            return refusal
        }
    }

    func clawTargetReceived(_ percent: [Double]) -> Bool {
        shared.withLock { $0.gate.clawTargetReceived(percent) }
    }

    func modeRequested(_ mode: Int32) -> (ArmCommandGate.Answer, Int32) {
        shared.withLock { ($0.gate.modeRequested(mode), $0.gate.mode.rawValue) }
    }

    func quickModeRequested(_ on: Bool) -> ArmCommandGate.Answer {
        shared.withLock { $0.gate.quickModeRequested(on) }
    }

    /// Yaw and pitch in degrees; false when they are malformed or beyond the robot's range.
    func headRequested(degrees: [Double]) -> Bool {
        guard degrees.count == 2, zip(degrees, Self.headLimits).allSatisfy({ abs($0) <= $1 }) else { return false }
        shared.withLock { $0.head = degrees.map { $0 * .pi / 180 } }
        return true
    }

    /// Starts a new episode; returns when the physics thread has done it.
    func reset(
        seed: Int64,
        task: String,
        placement: TargetPlacement,
        limits: EpisodeJudge.Limits
    ) async -> ResetResult {
        await withCheckedContinuation { continuation in
            let rejected: CheckedContinuation<ResetResult, Never>? = shared.withLock { shared in
                if shared.isClosed { return continuation }
                let previous = shared.reset?.done
                shared.reset = Reset(
                    seed: seed,
                    task: task,
                    placement: placement,
                    limits: limits,
                    done: continuation
                )
                return previous
            }
            rejected?.resume(returning: ResetResult(success: false, message: "superseded or shutting down"))
        }
    }

    // MARK: Physics thread

    func takeReset() -> Reset? {
        shared.withLock { shared in
            defer { shared.reset = nil }
            return shared.reset
        }
    }

    func episodeStarted(command: [Double]) {
        shared.withLock { shared in
            shared.gate.replaced(command: command)
            shared.isStreaming = false
        }
    }

    /// The next command, the head, and whether a target has been obeyed since the episode's start.
    func ticked(seconds: Double) -> (command: [Double], head: [Double], isStreaming: Bool) {
        shared.withLock { ($0.gate.ticked(seconds: seconds), $0.head, $0.isStreaming) }
    }

    func close() {
        let waiting = shared.withLock { shared in
            shared.isClosed = true
            defer { shared.reset = nil }
            return shared.reset?.done
        }
        waiting?.resume(returning: ResetResult(success: false, message: "the simulator is shutting down"))
    }
}
