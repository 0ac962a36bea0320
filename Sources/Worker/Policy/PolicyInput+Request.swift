package import GrootAPI
package import GrootCore

extension PolicyInput {
    /// Checks a request against the policy and puts everything in the policy's order.
    ///
    /// - Throws: `badRequest` with what was expected and what came. Nothing is cut, padded or guessed.
    package init(_ request: Groot_V1_InferRequest, for policy: PolicyDescription) throws(WorkerError) {
        images = try Self.images(request.images, for: policy)
        state = try Self.state(names: request.stateNames, values: request.stateValues, for: policy)
        task = try Self.task(request.task, for: policy)
        (prefix, prefixRows, frozenRows) = try Self.prefix(request.hasPrefix ? request.prefix : nil, for: policy)
        noiseSeed = request.noiseSeed
        guard request.maxRows <= policy.chunkSize else {
            throw WorkerError(
                .badRequest,
                "max_rows is \(request.maxRows), but \(policy.checkpoint) answers at most \(policy.chunkSize) rows."
            )
        }
    }

    private static func state(
        names: [String],
        values: [Float],
        for policy: PolicyDescription
    ) throws(WorkerError) -> [Float] {
        guard names.count == values.count else {
            throw WorkerError(.badRequest, "There are \(names.count) state names but \(values.count) state values.")
        }
        var byName: [String: Float] = [:]
        for (name, value) in zip(names, values) {
            guard value.isFinite else {
                throw WorkerError(.badRequest, "State \(name) is \(value), not a finite number.")
            }
            guard byName.updateValue(value, forKey: name) == nil else {
                throw WorkerError(.badRequest, "State \(name) is given twice.")
            }
        }
        let ordered = policy.stateNames.compactMap { byName[$0] }
        guard ordered.count == policy.stateNames.count, byName.count == ordered.count else {
            throw WorkerError(
                .badRequest,
                "The state names do not fit. Expected: \(ReadableText.list(policy.stateNames)). Got:"
                    + " \(ReadableText.list(names))."
            )
        }
        return ordered
    }

    private static func task(_ task: String, for policy: PolicyDescription) throws(WorkerError) -> String {
        guard !task.isEmpty else {
            throw WorkerError(.badRequest, "The task is empty; say what to do, e.g. \"Depalletize the green box\".")
        }
        // In lower case, as the policies that read bytes see it: its length may differ from the original's.
        let bytes = task.lowercased().utf8.count
        guard bytes <= policy.maxTaskBytes else {
            throw WorkerError(
                .badRequest,
                "The task has \(bytes) bytes in lower case, \(policy.checkpoint) reads at most"
                    + " \(policy.maxTaskBytes). Shorten it; it is never cut."
            )
        }
        guard !task.utf8.contains(0) else { throw WorkerError(.badRequest, "The task holds a zero byte.") }
        return task
    }

    private static func prefix(
        _ prefix: Groot_V1_ActionPrefix?,
        for policy: PolicyDescription
    ) throws(WorkerError) -> (values: [Float], rows: Int, frozen: Int) {
        guard let prefix else { return ([], 0, 0) }
        guard policy.supportsPrefix else {
            throw WorkerError(.badRequest, "\(policy.checkpoint) takes no action prefix; send none.")
        }
        guard prefix.rows <= policy.chunkSize else {
            throw WorkerError(.badRequest, "The prefix has \(prefix.rows) rows, at most \(policy.chunkSize) fit.")
        }
        guard prefix.frozenRows <= prefix.rows else {
            throw WorkerError(.badRequest, "The prefix freezes \(prefix.frozenRows) of its \(prefix.rows) rows.")
        }
        let count = CheckedSize.product(Int(prefix.rows), policy.actionNames.count)
        guard prefix.values.count == count else {
            throw WorkerError(
                .badRequest,
                "The prefix holds \(prefix.values.count) values, expected \(count ?? .max)"
                    + " (\(prefix.rows) rows x \(policy.actionNames.count))."
            )
        }
        guard prefix.values.allSatisfy(\.isFinite) else {
            throw WorkerError(.badRequest, "The prefix holds a value that is not a finite number.")
        }
        return (prefix.values, Int(prefix.rows), Int(prefix.frozenRows))
    }
}
