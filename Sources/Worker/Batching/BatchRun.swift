import GrootCore

/// One batch through a runtime, so that nobody answers for his neighbour: a batch that fails as a whole is run again row
/// by row, and a row that fails while the policy answers others is that request's own fault.
///
/// Owns nothing; runs in the batcher's task.
struct BatchRun: Sendable {
    /// What one row got, with the times of the inference that it was in.
    struct Row: Sendable {
        var values: [Float]
        var preprocess: Duration
        var infer: Duration
        var postprocess: Duration
        var batchSize: Int
    }

    struct Outcome: Sendable {
        /// In the order of the batch.
        var rows: [Result<Row, WorkerError>]
        /// Row by row: its time says nothing about a batch's.
        var wasSplit = false
    }

    let runner: any PolicyRuntime
    /// The policy answered somebody just now, and the rows failed before: their failing again needs no further proof.
    var isProven = false
    /// False for a row whose caller has gone: it is not run again.
    var isWanted: @Sendable (_ row: Int) async -> Bool = { _ in true }
    /// Called for a row that got its answer before the others of its batch.
    var answered: @Sendable (_ row: Int, _ answer: Row) async -> Void = { _, _ in }

    func run(_ inputs: [PolicyInput]) async -> Outcome {
        var outcome: Outcome
        switch await together(inputs) {
        case .success(let rows): outcome = Outcome(rows: rows)
        case .failure(let error) where inputs.count > 1 && Self.mayConcernOneRow(error):
            outcome = await singly(inputs)
        case .failure(let error): outcome = Outcome(rows: inputs.map { _ in .failure(error) })
        }
        await judge(&outcome)
        return outcome
    }

    private func together(_ inputs: [PolicyInput]) async -> Result<[Result<Row, WorkerError>], WorkerError> {
        let result = await Result { () async throws(WorkerError) in try await runner.run(inputs) }
        return result.flatMap { batch in
            guard batch.chunks.count == inputs.count else {
                let counts = "\(batch.chunks.count) rows for a batch of \(inputs.count)"
                return .failure(
                    WorkerError(.inferenceFailed, "Checkpoint \(runner.description.checkpoint) answered \(counts).")
                )
            }
            return .success(
                batch.chunks.map { chunk in
                    chunk.map {
                        Row(
                            values: $0,
                            preprocess: batch.preprocess,
                            infer: batch.infer,
                            postprocess: batch.postprocess,
                            batchSize: inputs.count
                        )
                    }
                }
            )
        }
    }

    private func singly(_ inputs: [PolicyInput]) async -> Outcome {
        var outcome = Outcome(rows: [], wasSplit: true)
        // The runtime itself is gone: nothing more is tried.
        var end: WorkerError?
        for (row, input) in inputs.enumerated() {
            if let end {
                outcome.rows.append(.failure(end))
                continue
            }
            guard await isWanted(row) else {
                outcome.rows.append(.failure(WorkerError(.cancelled, "The caller went away.")))
                continue
            }
            let result = await together([input]).flatMap { $0[0] }
            switch result {
            case .success(let answer): await answered(row, answer)
            case .failure(let error): end = Self.mayConcernOneRow(error) ? nil : error
            }
            outcome.rows.append(result)
        }
        return outcome
    }

    /// Says of a failed row that it is the request's fault where the policy demonstrably works.
    private func judge(_ outcome: inout Outcome) async {
        let failed = outcome.rows.indices.filter { row in
            if case .failure(let error) = outcome.rows[row] { error.code == .inferenceFailed } else { false }
        }
        guard !failed.isEmpty else { return }
        let othersAnswered = outcome.rows.contains { if case .success = $0 { true } else { false } }
        let works = if isProven || othersAnswered { true } else { await answersPlainly() }
        guard works else { return }
        for row in failed {
            guard case .failure(let error) = outcome.rows[row] else { continue }
            outcome.rows[row] = .failure(
                WorkerError(
                    .unanswerable,
                    "\(ReadableText.clipped(error.message, to: 800)) The policy answers other observations: it is this one.",
                    cause: error.cause
                )
            )
        }
    }

    /// A black, motionless observation, as at warm-up.
    private func answersPlainly() async -> Bool {
        switch await together([.zeros(for: runner.description)]) {
        case .success(let rows): if case .success = rows[0] { true } else { false }
        case .failure: false
        }
    }

    private static func mayConcernOneRow(_ error: WorkerError) -> Bool {
        error.code == .inferenceFailed || error.code == .outOfMemory
    }
}
