import Foundation
package import GrootAPI
package import GrootCore

/// Settings that the control plane assigns, by flag name in snake case.
extension AgentConfiguration {
    private struct Settings: Decodable {
        var actionChunkSize: Int?
        var aggregateFn: String?
        var blendMs: Double?
        var chunkEnd: Int?
        var chunkSizeThreshold: Flexible?
        var chunkStart: Int?
        var mode: String?
        var maxJointVelocity: Double?
        var requestTimeout: String?
        var episodeTimeout: String?
        var imageEncoding: String?
        var hedge: Bool?
        var rotateHeadCamera: Bool?
    }

    /// A number or a text.
    private struct Flexible: Decodable {
        var text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                text = "\(number)"
            } else {
                text = try container.decode(String.self)
            }
        }
    }

    /// This configuration under an assignment, and what of the assignment could not be used.
    ///
    /// Flags given by hand win. `policy` is the one that the episode will use. A setting that makes no sense is left out and named; the rest holds.
    package func applying(
        _ answer: Groot_V1_AssignRunConfigResponse,
        policy: PolicyDescription
    ) -> (AgentConfiguration, problems: [String]) {
        guard !answer.name.isEmpty else { return (self, []) }
        var result = self
        result.runConfigName = answer.name
        result.runConfigVersion = answer.version
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let settings: Settings
        do {
            settings = try decoder.decode(Settings.self, from: Data(answer.configJson.utf8))
        } catch {
            return (self, ["\(answer.name) v\(answer.version) is not usable: \(error)"])
        }
        var problems: [String] = []
        func set<Raw, Value>(
            _ name: String,
            _ raw: Raw?,
            _ convert: (Raw) -> Value?,
            _ path: WritableKeyPath<AgentConfiguration, Value>
        ) {
            guard let raw, !explicitFlags.contains(name) else { return }
            guard let value = convert(raw) else {
                problems.append("\(answer.name) v\(answer.version): \(name) = \(raw) makes no sense; left out")
                return
            }
            result[keyPath: path] = value
        }
        set(
            "action_chunk_size",
            settings.actionChunkSize,
            { (1...policy.chunkSize).contains($0) ? .some($0) : nil },
            \.chunkSize
        )
        set("aggregate_fn", settings.aggregateFn, AggregateFunction.init(rawValue:), \.aggregate)
        set("blend_ms", settings.blendMs, { (10...1000).contains($0) ? .milliseconds($0) : nil }, \.blend)
        set("chunk_start", settings.chunkStart, { $0 >= 0 && $0 < policy.chunkSize ? $0 : nil }, \.shape.start)
        set("chunk_end", settings.chunkEnd, { $0 >= 0 ? .some($0) : nil }, \.shape.end)
        set("chunk_size_threshold", settings.chunkSizeThreshold?.text, RequestPlanner.Threshold.init, \.threshold)
        set("mode", settings.mode, RequestPlanner.Mode.init(rawValue:), \.mode)
        set(
            "max_joint_velocity",
            settings.maxJointVelocity,
            { $0 > 0 ? .some(Float($0)) : nil },
            \.shape.maximumVelocity
        )
        set("request_timeout", settings.requestTimeout, RunFlags.duration, \.requestTimeout)
        set("episode_timeout", settings.episodeTimeout, { RunFlags.duration($0).map { .some($0) } }, \.episodeTimeout)
        set("image_encoding", settings.imageEncoding, ObservationEncoder.ImageFormat.init, \.imageFormat)
        set("hedge", settings.hedge, { $0 }, \.hedges)
        set("rotate_head_camera", settings.rotateHeadCamera, { $0 }, \.rotatesHeadCamera)
        if let end = result.shape.end, end < result.shape.start {
            problems.append("\(answer.name): chunk_end \(end) lies before chunk_start \(result.shape.start); left out")
            result.shape = shape
        }
        return (result, problems)
    }
}
