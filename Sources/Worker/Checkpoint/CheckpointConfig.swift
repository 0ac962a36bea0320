package import Foundation
package import GrootCore

/// `config.json` of a checkpoint: LeRobot's `pretrained_model` layout plus a `groot` section for what LeRobot keeps
/// elsewhere (names, spacing, abilities).
package struct CheckpointConfig: Decodable, Sendable {
    static let fileName = "config.json"

    struct Feature: Decodable, Sendable {
        var type: String
        var shape: [Int]
    }

    struct Groot: Decodable, Sendable {
        /// Seconds between two rows of a chunk.
        var actionPeriod: Double
        var stateNames: [String]
        var actionNames: [String]
        var maxTaskBytes: Int
        var supportsPrefix: Bool

        enum CodingKeys: String, CodingKey {
            case actionPeriod = "action_period_s"
            case stateNames = "state_names"
            case actionNames = "action_names"
            case maxTaskBytes = "max_task_bytes"
            case supportsPrefix = "supports_prefix"
        }
    }

    var type: String
    var observationSteps: Int
    var chunkSize: Int
    var inputFeatures: [String: Feature]
    var outputFeatures: [String: Feature]
    var groot: Groot

    enum CodingKeys: String, CodingKey {
        case type
        case observationSteps = "n_obs_steps"
        case chunkSize = "chunk_size"
        case inputFeatures = "input_features"
        case outputFeatures = "output_features"
        case groot
    }

    /// Reads and checks the file.
    ///
    /// - Throws: `badCheckpoint` that says file, key and what was expected.
    package static func read(directory: URL) throws(WorkerError) -> CheckpointConfig {
        let file = directory.appending(path: fileName)
        do {
            return try CheckpointJSON.decode(CheckpointConfig.self, from: file)
        } catch let error as WorkerError {
            throw error
        } catch let error as DecodingError {
            throw WorkerError(.badCheckpoint, "\(file.path): \(describe(error)).")
        } catch {
            throw WorkerError(.badCheckpoint, "\(file.path) cannot be decoded.", cause: error)
        }
    }

    /// What the file says, as the rest of the system reads it.
    ///
    /// - Throws: `badCheckpoint` naming the key that contradicts another one.
    package func description(name: String, sha256: String, file: String) throws(WorkerError) -> PolicyDescription {
        func failed(_ problem: String) -> WorkerError { WorkerError(.badCheckpoint, "\(file): \(problem).") }

        var images: [PolicyDescription.ImageInput] = []
        for (key, feature) in inputFeatures.sorted(by: { $0.key < $1.key }) {
            switch feature.type {
            case "VISUAL":
                guard feature.shape.count == 3, feature.shape[0] == 3, feature.shape.allSatisfy({ $0 > 0 }) else {
                    throw failed("input_features.\(key).shape is \(feature.shape), expected [3, height, width]")
                }
                images.append(.init(key: key, width: feature.shape[2], height: feature.shape[1]))
            case "STATE":
                guard key == "observation.state" else {
                    throw failed("input_features.\(key) is a STATE, the only one supported is observation.state")
                }
            default:
                throw failed("input_features.\(key).type is \"\(feature.type)\", expected VISUAL or STATE")
            }
        }
        guard let state = inputFeatures["observation.state"] else {
            throw failed("input_features has \(inputFeatures.keys.sorted()), expected observation.state among them")
        }
        guard let action = outputFeatures["action"], outputFeatures.count == 1, action.type == "ACTION" else {
            throw failed("output_features has \(outputFeatures.keys.sorted()), expected one ACTION named action")
        }
        guard state.shape == [groot.stateNames.count] else {
            throw failed("groot.state_names has \(groot.stateNames.count) names, expected shape \(state.shape)")
        }
        guard action.shape == [groot.actionNames.count], !groot.actionNames.isEmpty else {
            throw failed("groot.action_names has \(groot.actionNames.count) names, expected shape \(action.shape)")
        }
        guard Set(groot.stateNames).count == groot.stateNames.count else {
            throw failed("groot.state_names holds a name twice")
        }
        guard Set(groot.actionNames).count == groot.actionNames.count else {
            throw failed("groot.action_names holds a name twice")
        }
        guard observationSteps == 1 else { throw failed("n_obs_steps is \(observationSteps), expected 1") }
        guard (1...1000).contains(chunkSize) else { throw failed("chunk_size is \(chunkSize), expected 1 to 1000") }
        guard groot.actionPeriod > 0, groot.actionPeriod <= 10 else {
            throw failed("groot.action_period_s is \(groot.actionPeriod), expected more than 0 and at most 10")
        }
        guard (1...4096).contains(groot.maxTaskBytes) else {
            throw failed("groot.max_task_bytes is \(groot.maxTaskBytes), expected 1 to 4096")
        }
        let described = PolicyDescription(
            checkpoint: name,
            policyType: type,
            sha256: sha256,
            runtime: "onnx",
            images: images,
            stateNames: groot.stateNames,
            actionNames: groot.actionNames,
            chunkSize: chunkSize,
            actionPeriod: .nanoseconds(Int64((groot.actionPeriod * 1e9).rounded())),
            supportsPrefix: groot.supportsPrefix,
            maxTaskBytes: groot.maxTaskBytes
        )
        try described.checkSizes(of: file)
        return described
    }

    private static func describe(_ error: DecodingError) -> String {
        func key(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
        switch error {
        case .keyNotFound(let missing, let context):
            return "key \"\(key(context.codingPath + [missing]))\" is missing"
        case .typeMismatch(let type, let context):
            return "key \"\(key(context.codingPath))\" has the wrong type, expected \(name(of: type))"
        case .valueNotFound(let type, let context):
            return "key \"\(key(context.codingPath))\" is null, expected \(name(of: type))"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "it is no JSON" : "key \"\(key(context.codingPath))\" is malformed: \(context.debugDescription)"
        @unknown default:
            return "it cannot be decoded: \(error)"
        }
    }

    private static func name(of type: Any.Type) -> String {
        switch type {
        case is Int.Type: "a whole number"
        case is Double.Type: "a number"
        case is String.Type: "a text"
        case is Bool.Type: "true or false"
        case is [Any].Type: "a list"
        default: "an object (\(type))"
        }
    }
}
