import Foundation
import GrootCore

/// Passive health of one worker: failures in a row and, over an interval, its success rate. Pure.
///
/// Counts only what is the worker's own fault: connection failures, resets, UNAVAILABLE, INTERNAL, time-outs; every
/// attempt counts, repeated ones too.
struct OutlierDetector: Sendable {
    struct Configuration: Sendable, Equatable {
        /// Failures in a row that eject.
        var consecutiveFailures = 5
        var sweepInterval = Duration.seconds(10)
        var baseEjection = Duration.seconds(30)
        var longestEjection = Duration.seconds(300)
        /// Largest share of the workers that may be ejected at a time; one always may.
        var maxEjectedShare = 0.5
        /// Below this share of workers that are left, ejections are ignored.
        var panicShare = 0.5
        /// Success rates are compared among at least so many workers with at least so many requests in the interval.
        var rateWorkers = 5
        var rateVolume = 100
        /// A worker this many standard deviations below the mean is ejected.
        var rateDeviations = 1.9
    }

    private(set) var consecutive = 0
    private(set) var ejections = 0
    private var ejectedUntil: MonotonicInstant?
    private var requests = 0
    private var failures = 0

    func isEjected(at now: MonotonicInstant) -> Bool {
        ejectedUntil.map { now < $0 } ?? false
    }

    mutating func succeeded() {
        consecutive = 0
        requests += 1
    }

    /// True when it should be ejected now.
    mutating func failed(_ configuration: Configuration) -> Bool {
        consecutive += 1
        requests += 1
        failures += 1
        return consecutive >= configuration.consecutiveFailures
    }

    mutating func eject(_ configuration: Configuration, at now: MonotonicInstant) {
        ejections += 1
        consecutive = 0
        ejectedUntil = now + min(configuration.baseEjection * ejections, configuration.longestEjection)
    }

    /// Share of requests that went well in the interval that ends; nil below the volume. An interval without failures
    /// forgives one ejection.
    mutating func sweep(_ configuration: Configuration, at now: MonotonicInstant) -> Double? {
        defer {
            requests = 0
            failures = 0
        }
        if failures == 0, ejections > 0, !isEjected(at: now) { ejections -= 1 }
        guard requests >= configuration.rateVolume else { return nil }
        return 1 - Double(failures) / Double(requests)
    }

    /// The success rate below which a worker is an outlier; nil when too few workers can be compared.
    static func threshold(_ rates: [Double], _ configuration: Configuration) -> Double? {
        guard rates.count >= configuration.rateWorkers else { return nil }
        let mean = rates.reduce(0, +) / Double(rates.count)
        let variance = rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rates.count)
        return mean - configuration.rateDeviations * variance.squareRoot()
    }
}
