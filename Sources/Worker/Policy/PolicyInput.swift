package import GrootCore

/// One observation, checked and in the policy's own order: what one batch row is filled with.
package struct PolicyInput: Sendable, Equatable {
    /// Pixels in the order of `PolicyDescription.images`, each height x width x 3.
    package var images: [[UInt8]]
    /// In the order of `PolicyDescription.stateNames`.
    package var state: [Float]
    /// UTF-8 bytes of the lower-cased task.
    package var task: [Int64]
    /// Absolute actions, `prefixRows` x dimensions.
    package var prefix: [Float]
    package var prefixRows: Int
    package var frozenRows: Int
    /// Seed of the initial noise; 0 is no noise.
    package var noiseSeed: UInt64

    /// A black, empty observation for warm-up.
    static func zeros(for policy: PolicyDescription) -> PolicyInput {
        PolicyInput(
            images: policy.images.map { Array(repeating: 0, count: $0.width * $0.height * 3) },
            state: Array(repeating: 0, count: policy.stateNames.count),
            task: [],
            prefix: [],
            prefixRows: 0,
            frozenRows: 0,
            noiseSeed: 0
        )
    }
}

/// One row of a batch: the whole chunk, row-major, or why it cannot be used.
package typealias ChunkResult = Result<[Float], WorkerError>

extension Result {
    /// Catches what an asynchronous body throws.
    init(_ body: () async throws(Failure) -> Success) async {
        do throws(Failure) {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}

/// What a runner answers for a batch, in the batch's order, with the time each stage took.
package struct BatchResult: Sendable {
    package var chunks: [ChunkResult]
    package var preprocess: Duration
    package var infer: Duration
    package var postprocess: Duration

    package init(chunks: [ChunkResult], preprocess: Duration, infer: Duration, postprocess: Duration) {
        self.chunks = chunks
        self.preprocess = preprocess
        self.infer = infer
        self.postprocess = postprocess
    }
}

/// Something that runs a policy on a batch: a model runtime, or a script in tests.
package protocol BatchRunner: Sendable {
    var description: PolicyDescription { get }
    func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult
}
