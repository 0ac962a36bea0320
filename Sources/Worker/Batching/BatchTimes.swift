package import GrootCore

/// How long an inference of a given batch size takes on this runtime. Pure.
///
/// Seeded by the warm-up, then follows what finished batches took; a size never seen lies on the line between its
/// neighbours.
package struct BatchTimes: Hashable, Sendable {
    /// Share of a new measurement in the estimate.
    private static let weight = 0.2

    /// Seconds by batch size minus one; nil where nothing was measured.
    private var measured: [Double?]

    package init(maxBatch: Int, seeds: [PolicyDescription.BatchTime] = []) {
        measured = Array(repeating: nil, count: maxBatch)
        for seed in seeds where measured.indices.contains(seed.batch - 1) {
            measured[seed.batch - 1] = seed.infer.seconds
        }
    }

    package mutating func batchFinished(size: Int, took: Duration) {
        guard measured.indices.contains(size - 1) else { return }
        let old = measured[size - 1] ?? took.seconds
        measured[size - 1] = old + Self.weight * (took.seconds - old)
    }

    /// Zero when nothing was ever measured.
    package subscript(size: Int) -> Duration {
        let index = max(0, min(size - 1, measured.count - 1))
        if let exact = measured[index] { return .seconds(exact) }
        let below = measured[..<index].lastIndex { $0 != nil }
        let above = measured[index...].firstIndex { $0 != nil }
        switch (below.flatMap { measured[$0] }, above.flatMap { measured[$0] }) {
        case (let low?, let high?):
            let share = Double(index - (below ?? 0)) / Double((above ?? 1) - (below ?? 0))
            return .seconds(low + (high - low) * share)
        // Beyond the largest known size, time grows with the batch: the cautious guess.
        case (let low?, nil): return .seconds(low * Double(index + 1) / Double((below ?? 0) + 1))
        case (nil, let high?): return .seconds(high)
        case (nil, nil): return .zero
        }
    }
}
