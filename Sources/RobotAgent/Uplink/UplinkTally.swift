package import GrootCore
import Synchronization

/// What one episode's requests added up to.
package struct UplinkTally: Sendable {
    package var observations: UInt64 = 0
    /// Records written with status OK.
    package var applied: UInt64 = 0
    package var failed: UInt64 = 0
    package var hedged: UInt64 = 0
    /// Capture until merge, of the applied ones.
    package var latencies: [Duration] = []
    package var runwaysAtArrival: [Duration] = []
    /// Change of velocity at chunk borders, rad/s.
    package var borderSteps: [Float] = []
    package var workers: [String: Int] = [:]
    package var lastObservation: MonotonicInstant?
    package var lastChunk: MonotonicInstant?
    package var imageBytes: UInt64 = 0

    package init() {}

    /// Quantile of the latencies, nil without any.
    package func latency(_ quantile: Double) -> Duration? { Self.quantile(latencies, quantile) }

    package static func quantile<Value: Comparable>(_ values: [Value], _ quantile: Double) -> Value? {
        guard !values.isEmpty else { return nil }
        let rank = Int((Double(values.count) * quantile).rounded(.up))
        return values.sorted()[min(max(rank - 1, 0), values.count - 1)]
    }
}

/// Latencies that outlive an episode: what the next one plans with from its first request on. Any thread.
package final class LatencyMemory: Sendable {
    package struct Values: Sendable {
        /// Capture until merge.
        package var merge = DecayingPercentile()
        /// Decision to ask until merge.
        package var ask = DecayingPercentile()
    }

    private let values = Mutex(Values())

    package init() {}

    package var current: Values { values.withLock { $0 } }

    package func record(merge: Duration, ask: Duration) {
        values.withLock {
            $0.merge.record(merge)
            $0.ask.record(ask)
        }
    }
}
