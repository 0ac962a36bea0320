package import GrootCore

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

/// What a runtime answers for a batch, in the batch's order, with the time each stage took.
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

/// A loaded and warmed policy that runs batches: ONNX Runtime, LeRobot in a child process, the synthetic one, or a
/// script in tests. `RuntimeConformanceTests` says what each must keep.
///
/// `run` is called with 1 to `description.maxBatch` rows, one call at a time (the batcher's promise), and never
/// blocks the cooperative pool.
package protocol PolicyRuntime: Sendable {
    /// Constant after loading; holds the batch sizes and times of the warm-up.
    var description: PolicyDescription { get }
    /// What runs it, for people, e.g. `ONNX Runtime 1.32.0 (table 32) on the CPU`.
    var version: String { get }
    /// Memory that unloading gives back, for the budget; an estimate.
    var memoryBytes: Int { get }
    /// Nil when it can run now, else why not (a child process that restarts).
    var unavailableReason: String? { get }

    func run(_ batch: [PolicyInput]) async throws(WorkerError) -> BatchResult
    /// Gives everything back; nothing runs afterwards. Called once, after the last `run` returned.
    func close() async
}

extension PolicyRuntime {
    package var unavailableReason: String? { nil }
}

/// Checks what every runtime must check of an answer before a robot may see it.
package enum ChunkCheck {
    /// The chunk, or an error that names the checkpoint, the joint and the row of the first number that is none.
    package static func finite(_ values: [Float], of policy: PolicyDescription) -> ChunkResult {
        guard let bad = values.firstIndex(where: { !$0.isFinite }) else { return .success(values) }
        let name = policy.actionNames[bad % policy.actionNames.count]
        return .failure(
            WorkerError(
                .inferenceFailed,
                "Checkpoint \(policy.checkpoint) answered \(values[bad]) for \(name) in row"
                    + " \(bad / policy.actionNames.count); no action was sent."
            )
        )
    }
}
