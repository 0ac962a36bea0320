import Synchronization

/// All metrics of one process, rendered in the Prometheus text format.
///
/// Any thread. Names follow `groot_<process>_<noun>_<unit>`; label values come from closed sets
/// (workers, outcomes, topics), never from request data. Asking twice for the same name and labels
/// returns the same instrument.
package final class MetricsRegistry: Sendable {
    private struct Family {
        var kind: String
        var help: String
        var series: [String: any MetricSeries] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    private let common: [String: String]

    /// - Parameter labels: on every series, such as the name of the robot whose process this is.
    package init(labels: [String: String] = [:]) {
        common = labels
    }

    package func counter(_ name: String, help: String, labels: [String: String] = [:]) -> Counter {
        instrument(name, kind: "counter", help: help, labels: labels) { Counter() }
    }

    package func gauge(_ name: String, help: String, labels: [String: String] = [:]) -> Gauge {
        instrument(name, kind: "gauge", help: help, labels: labels) { Gauge() }
    }

    /// A histogram of durations in seconds over fixed bucket bounds.
    package func histogram(
        _ name: String,
        help: String,
        labels: [String: String] = [:],
        bounds: [Double] = DurationHistogram.defaultBounds
    ) -> DurationHistogram {
        instrument(name, kind: "histogram", help: help, labels: labels) { DurationHistogram(bounds: bounds) }
    }

    /// Forgets every series with these labels among its own, such as those of a worker that left.
    package func remove(labels: [String: String]) {
        let wanted = labels.map { "\($0.key)=\"\(Self.escape($0.value))\"" }
        families.withLock { families in
            families = families.mapValues { family in
                var family = family
                family.series = family.series.filter { series in !wanted.allSatisfy { series.key.contains($0) } }
                return family
            }
        }
    }

    /// Series with these labels among its own carry another value of one of them from now on, and go on counting.
    package func relabel(_ labels: [String: String], _ label: String, to value: String) {
        guard let old = labels[label] else { return }
        let wanted = labels.map { "\($0.key)=\"\(Self.escape($0.value))\"" }
        let (from, to) = ("\(label)=\"\(Self.escape(old))\"", "\(label)=\"\(Self.escape(value))\"")
        families.withLock { families in
            families = families.mapValues { family in
                var family = family
                for (key, series) in family.series where wanted.allSatisfy({ key.contains($0) }) {
                    family.series[key] = nil
                    family.series[key.replacing(from, with: to, maxReplacements: 1)] = series
                }
                return family
            }
        }
    }

    /// The Prometheus text exposition of everything registered, families and series sorted by name.
    package func render() -> String {
        let families = families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                text += series.render(name: name, labels: labels)
            }
        }
        return text
    }

    private func instrument<Series: MetricSeries>(
        _ name: String,
        kind: String,
        help: String,
        labels: [String: String],
        make: () -> Series
    ) -> Series {
        let key = labels.merging(common) { own, _ in own }.sorted { $0.key < $1.key }.map {
            "\($0.key)=\"\(Self.escape($0.value))\""
        }
        .joined(separator: ",")
        return families.withLock { families in
            var family = families[name] ?? Family(kind: kind, help: help)
            precondition(family.kind == kind, "metric \(name) is registered as a \(family.kind)")
            defer { families[name] = family }
            if let series = family.series[key] as? Series { return series }
            let series = make()
            family.series[key] = series
            return series
        }
    }

    private static func escape(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

/// One time series; renders its own sample lines.
package protocol MetricSeries: Sendable {
    func render(name: String, labels: String) -> String
}

/// Counts up.
package final class Counter: MetricSeries {
    private let value = Atomic<UInt64>(0)

    package func increment(by amount: UInt64 = 1) {
        value.add(amount, ordering: .relaxed)
    }

    package var count: UInt64 { value.load(ordering: .relaxed) }

    package func render(name: String, labels: String) -> String {
        sample(name, labels, "\(count)")
    }
}

/// Goes up and down.
package final class Gauge: MetricSeries {
    private let bits = Atomic<UInt64>(0)

    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    package func render(name: String, labels: String) -> String {
        sample(name, labels, "\(value)")
    }
}

/// Counts durations in buckets.
package final class DurationHistogram: MetricSeries {
    /// 0.5 ms to 10 s.
    package static let defaultBounds: [Double] = [
        0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
    ]

    private struct State {
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        self.state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    package func record(_ duration: Duration) {
        let seconds = duration.seconds
        let bucket = bounds.firstIndex { seconds <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += seconds
        }
    }

    package func render(name: String, labels: String) -> String {
        let state = state.withLock { $0 }
        let prefix = labels.isEmpty ? "" : labels + ","
        var text = ""
        var cumulative: UInt64 = 0
        for (bound, count) in zip(bounds, state.counts) {
            cumulative += count
            text += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(cumulative)\n"
        }
        cumulative += state.counts[bounds.count]
        text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(cumulative)\n"
        text += sample(name + "_sum", labels, "\(state.sum)")
        text += sample(name + "_count", labels, "\(cumulative)")
        return text
    }
}

private func sample(_ name: String, _ labels: String, _ value: String) -> String {
    labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
}
