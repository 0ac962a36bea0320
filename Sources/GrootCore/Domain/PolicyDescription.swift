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

    /// What one inference of a whole batch took when the worker warmed up.
    package struct BatchTime: Hashable, Sendable {
        package var batch: Int
        package var infer: Duration

        package init(batch: Int, infer: Duration) {
            self.batch = batch
            self.infer = infer
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
    /// Largest batch that one inference takes; 0 when the worker did not say.
    package var maxBatch: Int
    /// By ascending batch size.
    package var batchTimes: [BatchTime]

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
        maxTaskBytes: Int,
        maxBatch: Int = 0,
        batchTimes: [BatchTime] = []
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
        self.maxBatch = maxBatch
        self.batchTimes = batchTimes
    }
}
