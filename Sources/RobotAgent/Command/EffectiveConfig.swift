import Foundation
package import GrootCore

/// The effective run configuration: printed at the start of an episode, stored with it, and the vocabulary of
/// what the control plane may assign.
extension AgentConfiguration {
    private struct Effective: Encodable {
        var actionChunkSize: Int
        var aggregateFn: String
        var blendMs: Double
        var chunkEnd: Int?
        var chunkSizeThreshold: String
        var chunkStart: Int
        var actionStride: Int
        var maxJointVelocity: Float?
        var mode: String
        var profile: String
        var rotateHeadCamera: Bool
        var controlRateHz: Int
        var requestTimeoutMs: Double
        var imageEncoding: String
        var hedge: Bool
        var clawLatch: Bool
        var freezeArm: String?
        var episodeTimeoutMs: Double?
        var slackMs: Double?
        var runConfig: String?
    }

    /// - Parameters:
    ///   - policy: what the checkpoint answers.
    ///   - mode: the mode in force, which differs from the wanted one when the checkpoint takes no prefix.
    package func json(policy: PolicyDescription, profile: RobotProfile, mode: RequestPlanner.Mode) -> String {
        let rows = min(self.chunkSize ?? policy.chunkSize, policy.chunkSize)
        var slack: Double?
        if case .fixed(let share) = threshold, mode != .sync {
            slack = share * Double(shape.rows(of: rows)) * policy.actionPeriod.milliseconds
        }
        let effective = Effective(
            actionChunkSize: rows,
            aggregateFn: mode == .rtc ? AggregateFunction.latestOnly.rawValue : aggregate.rawValue,
            blendMs: blend.milliseconds,
            chunkEnd: shape.end,
            chunkSizeThreshold: threshold.text,
            chunkStart: shape.start,
            actionStride: shape.stride,
            maxJointVelocity: shape.maximumVelocity,
            mode: mode.rawValue,
            profile: profile.name,
            rotateHeadCamera: rotatesHeadCamera,
            controlRateHz: profile.controlRateHz,
            requestTimeoutMs: requestTimeout.milliseconds,
            imageEncoding: imageFormat.description,
            hedge: hedges,
            clawLatch: clawLatch != nil,
            freezeArm: frozenArm?.rawValue,
            episodeTimeoutMs: episodeTimeout?.milliseconds,
            slackMs: slack,
            runConfig: runConfigName.isEmpty ? nil : "\(runConfigName) v\(runConfigVersion)"
        )
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Numbers and strings always encode.
        return (try? encoder.encode(effective)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

extension RequestPlanner.Threshold {
    /// As the flag is written.
    package var text: String {
        switch self {
        case .fixed(let share): "\(share)"
        case .auto: "auto"
        }
    }

    package init?(_ text: String) {
        if text == "auto" {
            self = .auto
            return
        }
        guard let share = Double(text), share > 0, share <= 1 else { return nil }
        self = .fixed(share)
    }
}
