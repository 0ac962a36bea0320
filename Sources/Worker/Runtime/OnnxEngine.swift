import GrootCore

/// A loaded graph with memory for its inputs: one inference at a time, on the caller's thread.
///
/// Not sendable: made where the checkpoint is loaded, then handed to the actor that owns it.
@safe
final class OnnxEngine {
    let session: ORTSession
    let maxBatch: Int
    private let policy: PolicyDescription
    private let order: [InputTensor]
    private let tensors: [String: InputTensor]

    init(session: ORTSession, policy: PolicyDescription, maxBatch: Int) {
        self.session = session
        self.policy = policy
        self.maxBatch = maxBatch
        // The graph's own order and element types: what it does not read is not filled.
        order = session.inputs.map { found in
            let wanted = OnnxGraph.inputs(of: policy).first { $0.name == found.name }
            let shape = zip(found.shape, wanted?.shape ?? found.shape).map { $0 ?? $1 }
            let spec = TensorSpec(name: found.name, elementType: found.elementType, shape: shape)
            return InputTensor(spec: spec, capacity: maxBatch)
        }
        tensors = Dictionary(uniqueKeysWithValues: order.map { ($0.spec.name, $0) })
    }

    /// Every batch size once to reserve its memory (and, on a GPU, to capture its graph), and once more for its time.
    ///
    /// - Throws: `badCheckpoint` with the batch size at which it failed.
    func warmUp(modelPath: String) throws(WorkerError) -> [PolicyDescription.BatchTime] {
        let row = PolicyInput.zeros(for: policy)
        var times: [PolicyDescription.BatchTime] = []
        for batch in 1...maxBatch {
            do {
                for chunk in try infer(Array(repeating: row, count: batch)).chunks { _ = try chunk.get() }
                times.append(.init(batch: batch, infer: try infer(Array(repeating: row, count: batch)).infer))
            } catch {
                throw WorkerError(
                    .badCheckpoint,
                    "\(modelPath): the warm-up inference of a batch of \(batch) failed. \(error.message)"
                )
            }
        }
        return times
    }

    func infer(_ batch: [PolicyInput]) throws(WorkerError) -> BatchResult {
        precondition(!batch.isEmpty && batch.count <= maxBatch, "a batch of \(batch.count), at most \(maxBatch)")
        let started = MonotonicInstant.now()
        for (row, input) in batch.enumerated() { fill(row, with: input) }
        let filled = MonotonicInstant.now()
        let answer = try session.run(order, batch: batch.count, output: OnnxGraph.action)
        let ran = MonotonicInstant.now()
        let expected = [batch.count, policy.chunkSize, policy.actionNames.count]
        guard answer.shape == expected else {
            throw WorkerError(
                .inferenceFailed,
                "Checkpoint \(policy.checkpoint) answered with shape \(answer.shape), expected \(expected)."
            )
        }
        let rowCount = policy.chunkSize * policy.actionNames.count
        let chunks = batch.indices.map { row in
            ChunkCheck.finite(Array(answer.values[row * rowCount..<(row + 1) * rowCount]), of: policy)
        }
        return BatchResult(
            chunks: chunks,
            preprocess: filled - started,
            infer: ran - filled,
            postprocess: MonotonicInstant.now() - ran
        )
    }

    private func fill(_ row: Int, with input: PolicyInput) {
        for (image, pixels) in zip(policy.images, input.images) { tensors[image.key]?.write(pixels, row: row) }
        tensors[OnnxGraph.state]?.write(input.state, row: row)
        tensors[OnnxGraph.task]?.write(input.taskBytes, row: row)
        if let noise = tensors[OnnxGraph.noise] {
            let count = policy.chunkSize * policy.actionNames.count
            noise.write(SeededNormal.values(seed: input.noiseSeed, count: count), row: row)
        }
        tensors[OnnxGraph.prefix]?.write(input.prefix, row: row)
        tensors[OnnxGraph.prefixRows]?.write([Int64(input.prefixRows)], row: row)
        tensors[OnnxGraph.frozenRows]?.write([Int64(input.frozenRows)], row: row)
    }
}
