import Foundation
import GrootAPI
import GrootCore
import GrootStore

extension WorkerRecord {
    init(_ report: WorkerReport) {
        self.init(
            worker: report.name,
            address: report.address.description,
            checkpoints: report.policies.map { policy in
                CheckpointRecord(
                    sha256: policy.sha256,
                    name: policy.checkpoint,
                    policyType: policy.policyType,
                    runtime: policy.runtime,
                    featuresJSON: Self.features(of: policy),
                    chunkSize: Int64(min(policy.chunkSize, UInt32(Int32.max))),
                    actionPeriodNanoseconds: Int64(clamping: policy.actionPeriodNs)
                )
            }
        )
    }

    /// Inputs and output by LeRobot key, keys sorted.
    private static func features(of policy: Groot_V1_Policy) -> String {
        struct Feature: Encodable {
            var shape: [UInt32]
            var names: [String]
        }
        struct Features: Encodable {
            var inputs: [String: Feature]
            var output: [String: Feature]
        }
        func feature(_ feature: Groot_V1_Feature) -> (String, Feature) {
            (feature.key, Feature(shape: feature.shape, names: feature.names))
        }
        let features = Features(
            inputs: Dictionary(policy.inputs.map(feature), uniquingKeysWith: { first, _ in first }),
            output: policy.hasOutput
                ? Dictionary([feature(policy.output)], uniquingKeysWith: { first, _ in first }) : [:]
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // Strings and integers always encode.
        let data = (try? encoder.encode(features)) ?? Data("{}".utf8)
        return String(decoding: data, as: UTF8.self)
    }
}
