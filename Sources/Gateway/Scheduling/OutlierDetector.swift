import Foundation
import GrootCore

/// Passive health of one worker: failures in a row and, over an interval, its success rate. Pure.
///
/// Counts what is not proven to be somebody else's fault, as `OutcomeTable` has it, and time-outs; every attempt counts,
/// repeated ones too. A worker that refuses one robot after the other as wrong, and answers none, is wrong itself.
struct OutlierDetector: Sendable {
    struct Configuration: Sendable, Equatable {
        /// Failures in a row that eject; so do refusals of so many different robots with no answer in between.
        var consecutiveFailures = 5
        /// An attempt that is given up after so long, and after three times what was expected, is a failure; a worker
        /// that is so late with everything it has gets nothing more until it answers.
        var timeout = Duration.milliseconds(500)
        /// A worker that failed this share of at least so many requests in an interval is ejected.
        var failureShare = 0.5
        var failureVolume = 10
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
    /// Robots, hashed, whose requests it refused as wrong since it answered last.
    private var refusedRobots: Set<UInt64> = []

    func isEjected(at now: MonotonicInstant) -> Bool {
        ejectedUntil.map { now < $0 } ?? false
    }

    mutating func succeeded() {
        consecutive = 0
        requests += 1
        if !refusedRobots.isEmpty { refusedRobots = [] }
    }

    /// It says that the caller is at fault; true when it has said so to too many and should be ejected now.
    mutating func declined(_ robot: UInt64, _ configuration: Configuration) -> Bool {
        refusedRobots.insert(robot)
        return refusedRobots.count >= configuration.consecutiveFailures
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
        refusedRobots = []
        ejectedUntil = now + min(configuration.baseEjection * ejections, configuration.longestEjection)
    }

    /// What an interval says.
    struct Interval: Sendable {
        /// It failed too large a share.
        var isBad: Bool
        /// Share of requests that went well; nil when there were too few to compare.
        var comparable: Double?
    }

    /// Ends an interval. One without failures forgives one ejection.
    mutating func sweep(_ configuration: Configuration, at now: MonotonicInstant) -> Interval {
        defer {
            requests = 0
            failures = 0
        }
        if failures == 0, ejections > 0, !isEjected(at: now) { ejections -= 1 }
        let failed = Double(failures) / Double(max(1, requests))
        return Interval(
            isBad: requests >= configuration.failureVolume && failed >= configuration.failureShare
                && !isEjected(at: now),
            comparable: requests >= configuration.rateVolume ? 1 - failed : nil
        )
    }

    /// The success rate below which a worker is an outlier; nil when too few workers can be compared.
    static func threshold(_ rates: [Double], _ configuration: Configuration) -> Double? {
        guard rates.count >= configuration.rateWorkers else { return nil }
        let mean = rates.reduce(0, +) / Double(rates.count)
        let variance = rates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rates.count)
        return mean - configuration.rateDeviations * variance.squareRoot()
    }
}
