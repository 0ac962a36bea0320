/// What a checkpoint expects and answers, independent of the runtime that runs it.
package struct PolicyDescription: Hashable, Sendable {
    package struct ImageInput: Hashable, Sendable {
        /// LeRobot key, e.g. `observation.images.cam_head`.
        package var key: String
        package var width: Int
        package var height: Int

        package init(key: String, width: Int, height: Int) {
            self.key = key
            self.width = width
            self.height = height
        }
    }

    /// Directory name of the checkpoint; what requests select.
    package var checkpoint: String
    package var policyType: String
    /// Hex digest of the files that decide what the policy answers.
    package var sha256: String
    package var runtime: String
    package var images: [ImageInput]
    /// One name per state dimension, in the order the policy reads them.
    package var stateNames: [String]
    /// One name per action dimension, in the order the policy writes them.
    package var actionNames: [String]
    /// Rows of a full chunk.
    package var chunkSize: Int
    package var actionPeriod: Duration
    /// True when the policy continues a given chunk prefix (real-time chunking).
    package var supportsPrefix: Bool
    /// Longest task sentence, in UTF-8 bytes.
    package var maxTaskBytes: Int

    package init(
        checkpoint: String,
        policyType: String,
        sha256: String,
        runtime: String,
        images: [ImageInput],
        stateNames: [String],
        actionNames: [String],
        chunkSize: Int,
        actionPeriod: Duration,
        supportsPrefix: Bool,
        maxTaskBytes: Int
    ) {
        self.checkpoint = checkpoint
        self.policyType = policyType
        self.sha256 = sha256
        self.runtime = runtime
        self.images = images
        self.stateNames = stateNames
        self.actionNames = actionNames
        self.chunkSize = chunkSize
        self.actionPeriod = actionPeriod
        self.supportsPrefix = supportsPrefix
        self.maxTaskBytes = maxTaskBytes
    }
}
