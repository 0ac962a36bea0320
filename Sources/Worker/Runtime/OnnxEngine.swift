import GrootCore

/// A loaded graph with memory for its inputs and its output, one binding per batch size: one inference at a time, on
/// the caller's thread.
///
/// Not sendable: it belongs to `OnnxRunner`.
@safe
final class OnnxEngine {
    let maxBatch: Int
    /// Of what is bound, in host memory.
    let tensorBytes: Int

    private let session: ORTSession
    private let policy: PolicyDescription
    private let tensors: [String: BatchTensor]
    private let output: BatchTensor
    private let bindings: [ORTBinding]

    init(session: ORTSession, policy: PolicyDescription, maxBatch: Int, graph: Bool) throws(WorkerError) {
        self.session = session
        self.policy = policy
        self.maxBatch = maxBatch
        // The graph's own order and element types: what it does not read is not filled.
        var inputs: [BatchTensor] = []
        for spec in OnnxGraph.bound(session.inputs, of: policy) {
            inputs.append(try session.tensor(spec, capacity: maxBatch))
        }
        var answer = OnnxGraph.output(of: policy)
        answer.elementType = session.outputs.first { $0.name == answer.name }?.elementType ?? answer.elementType
        let output = try session.tensor(answer, capacity: maxBatch)
        var bindings: [ORTBinding] = []
        for batch in 1...maxBatch {
            bindings.append(
                try ORTBinding(session: session, inputs: inputs, output: output, batch: batch, graph: graph)
            )
        }
        self.output = output
        self.bindings = bindings
        // ONNX Runtime loads no graph with two inputs of one name.
        tensors = Dictionary(inputs.map { ($0.spec.name, $0) }, uniquingKeysWith: { $1 })
        // Each was made within `PolicyDescription.maximumBatchBytes`.
        tensorBytes = (inputs + [output]).reduce(0) { $0 + maxBatch * $1.rowBytes }
    }

    /// The GPU does not answer this process any more.
    var deviceIsLost: Bool { session.driver?.isLost == true }

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
        try bindings[batch.count - 1].run()
        let ran = MonotonicInstant.now()
        let chunks = batch.indices.map { ChunkCheck.finite(output.floats(row: $0), of: policy) }
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
