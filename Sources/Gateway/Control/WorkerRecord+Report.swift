import Foundation
import GrootAPI
import GrootCore
import GrootStore

extension WorkerRecord {
    init(_ report: WorkerReport) {
        self.init(
            worker: PeopleText.clean(report.name, limit: FieldLimit.name),
            address: report.address.description,
            checkpoints: report.policies.prefix(WorkerMemory.checkpointLimit).map { policy in
                CheckpointRecord(
                    sha256: PeopleText.clean(policy.sha256, limit: FieldLimit.name),
                    name: PeopleText.clean(policy.checkpoint, limit: FieldLimit.checkpoint),
                    policyType: PeopleText.clean(policy.policyType, limit: FieldLimit.name),
                    runtime: PeopleText.clean(policy.runtime, limit: FieldLimit.name),
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
            let names = feature.names.map { PeopleText.clean($0, limit: FieldLimit.name) }
            return (PeopleText.clean(feature.key, limit: FieldLimit.name), Feature(shape: feature.shape, names: names))
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
