package import GrootCore

extension Groot_V1_Policy {
    /// The wire form of a description; loses nothing.
    package init(_ description: PolicyDescription) {
        self.init()
        checkpoint = description.checkpoint
        policyType = description.policyType
        sha256 = description.sha256
        runtime = description.runtime
        inputs =
            description.images.map { image in
                var feature = Groot_V1_Feature()
                feature.key = image.key
                feature.kind = .image
                feature.shape = [3, UInt32(clamping: image.height), UInt32(clamping: image.width)]
                return feature
            } + [Self.vector(PolicyDescription.stateKey, .state, description.stateNames)]
        output = Self.vector(PolicyDescription.actionKey, .action, description.actionNames)
        chunkSize = UInt32(clamping: description.chunkSize)
        actionPeriodNs = UInt64(clamping: description.actionPeriod.nanoseconds)
        supportsPrefix = description.supportsPrefix
        maxTaskBytes = UInt32(clamping: description.maxTaskBytes)
        maxBatch = UInt32(clamping: description.maxBatch)
        batchTimes = description.batchTimes.map { time in
            var message = Groot_V1_BatchTime()
            message.batch = UInt32(clamping: time.batch)
            message.inferNs = UInt64(clamping: time.infer.nanoseconds)
            return message
        }
    }

    private static func vector(_ key: String, _ kind: Groot_V1_FeatureKind, _ names: [String]) -> Groot_V1_Feature {
        var feature = Groot_V1_Feature()
        feature.key = key
        feature.kind = kind
        feature.shape = [UInt32(clamping: names.count)]
        feature.names = names
        return feature
    }
}

extension PolicyDescription {
    /// LeRobot's key of the state vector.
    package static let stateKey = "observation.state"
    /// LeRobot's key of the action vector.
    package static let actionKey = "action"

    /// Reads what a worker described.
    ///
    /// - Throws: `PolicyDescriptionError` naming the feature that makes no sense, so that a peer's nonsense
    ///   is refused where it arrives and not in a control loop.
    package init(_ policy: Groot_V1_Policy) throws(PolicyDescriptionError) {
        func failed(_ problem: String) -> PolicyDescriptionError {
            PolicyDescriptionError(checkpoint: policy.checkpoint, problem: problem)
        }
        var images: [ImageInput] = []
        var stateNames: [String]?
        for feature in policy.inputs {
            switch feature.kind {
            case .image:
                guard feature.shape.count == 3, feature.shape[0] == 3, feature.shape[1] > 0, feature.shape[2] > 0 else {
                    throw failed("image \(feature.key) has shape \(feature.shape), expected [3, height, width]")
                }
                images.append(ImageInput(key: feature.key, width: Int(feature.shape[2]), height: Int(feature.shape[1])))
            case .state:
                guard stateNames == nil else { throw failed("it has more than one state feature") }
                guard feature.shape == [UInt32(clamping: feature.names.count)] else {
                    throw failed("state \(feature.key) has shape \(feature.shape) but \(feature.names.count) names")
                }
                stateNames = feature.names
            case .action, .unspecified, .UNRECOGNIZED:
                throw failed("input \(feature.key) has kind \(feature.kind), expected image or state")
            }
        }
        guard let stateNames else { throw failed("it has no state feature") }
        guard policy.output.kind == .action, !policy.output.names.isEmpty else {
            throw failed("its output is no action feature with names")
        }
        guard policy.chunkSize > 0 else { throw failed("its chunk size is 0") }
        guard policy.actionPeriodNs > 0 else { throw failed("its action period is 0") }
        self.init(
            checkpoint: policy.checkpoint,
            policyType: policy.policyType,
            sha256: policy.sha256,
            runtime: policy.runtime,
            images: images,
            stateNames: stateNames,
            actionNames: policy.output.names,
            chunkSize: Int(policy.chunkSize),
            actionPeriod: .nanoseconds(Int64(clamping: policy.actionPeriodNs)),
            supportsPrefix: policy.supportsPrefix,
            maxTaskBytes: Int(policy.maxTaskBytes),
            maxBatch: Int(policy.maxBatch),
            batchTimes: policy.batchTimes.map {
                BatchTime(batch: Int($0.batch), infer: .nanoseconds(Int64(clamping: $0.inferNs)))
            }
        )
    }
}

/// A described policy that no robot could use.
package struct PolicyDescriptionError: Error, CustomStringConvertible, Equatable {
    package var checkpoint: String
    package var problem: String

    package var description: String {
        "The worker described checkpoint \"\(checkpoint)\" in a way that cannot be used: \(problem)."
    }
}
