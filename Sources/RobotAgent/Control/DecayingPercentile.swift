import Foundation
import GrootCore

/// A percentile of durations that forgets: a sample's weight halves every `halfLife` samples.
///
/// The ancestor kept the largest latency ever seen, so that one cold start made every later request plan
/// for the worst. Here it fades. Pure.
package struct DecayingPercentile: Sendable {
    /// Samples kept; older ones weigh next to nothing.
    package static let capacity = 64
    /// Samples after which one counts half.
    package static let halfLife = 12.0

    private var samples: [Duration] = []

    package init() {}

    package var isEmpty: Bool { samples.isEmpty }

    package mutating func record(_ sample: Duration) {
        if samples.count == Self.capacity { samples.removeFirst() }
        samples.append(sample)
    }

    /// The smallest sample such that at least `quantile` of the weight is at or below it; nil without samples.
    package func value(_ quantile: Double) -> Duration? {
        guard !samples.isEmpty else { return nil }
        let decay = Foundation.pow(0.5, 1 / Self.halfLife)
        var weight = 1.0
        var weighted: [(sample: Duration, weight: Double)] = []
        for sample in samples.reversed() {
            weighted.append((sample, weight))
            weight *= decay
        }
        weighted.sort { $0.sample < $1.sample }
        let wanted = weighted.reduce(0) { $0 + $1.weight } * min(max(quantile, 0), 1)
        var seen = 0.0
        for entry in weighted {
            seen += entry.weight
            if seen >= wanted { return entry.sample }
        }
        return weighted.last?.sample
    }
}
