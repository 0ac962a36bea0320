package import GrootCore

/// One observation, checked and in the policy's own order: what one batch row is filled with.
package struct PolicyInput: Sendable, Equatable {
    /// Pixels in the order of `PolicyDescription.images`, each height x width x 3, in the policy's size.
    package var images: [[UInt8]]
    /// In the order of `PolicyDescription.stateNames`.
    package var state: [Float]
    /// As the robot said it.
    package var task: String
    /// Absolute actions, `prefixRows` x dimensions.
    package var prefix: [Float]
    package var prefixRows: Int
    package var frozenRows: Int
    /// Seed of the initial noise; 0 is no noise.
    package var noiseSeed: UInt64

    package init(
        images: [[UInt8]],
        state: [Float],
        task: String,
        prefix: [Float] = [],
        prefixRows: Int = 0,
        frozenRows: Int = 0,
        noiseSeed: UInt64 = 0
    ) {
        self.images = images
        self.state = state
        self.task = task
        self.prefix = prefix
        self.prefixRows = prefixRows
        self.frozenRows = frozenRows
        self.noiseSeed = noiseSeed
    }

    /// UTF-8 of the task in lower case: what a policy that reads bytes was trained on.
    package var taskBytes: [Int64] { task.lowercased().utf8.map { Int64($0) } }

    /// A black, motionless observation for warm-up.
    package static func zeros(for policy: PolicyDescription) -> PolicyInput {
        PolicyInput(
            images: policy.images.map { Array(repeating: 0, count: $0.width * $0.height * 3) },
            state: Array(repeating: 0, count: policy.stateNames.count),
            task: ""
        )
    }
}
