package import GrootCore

/// Decides when the next observation is due. Pure; owned by the uplink task.
///
/// The threshold counts unexecuted motion time (the *slack*): an observation is due when the runway is
/// shorter than the slack. A **larger** threshold asks earlier and more often (the ancestor's guide says
/// the opposite). One request is in flight at a time.
package struct RequestPlanner: Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        /// Infer while the robot moves; overlapping targets are aggregated.
        case async
        /// Infer when nothing is left, stand still meanwhile.
        case sync
        /// Infer while the robot moves; the policy continues what is already being executed.
        case rtc
    }

    package enum Threshold: Sendable, Equatable {
        /// Share of a chunk's motion time, more than 0, at most 1.
        case fixed(Double)
        /// As much slack as keeps the runway at arrival above `Auto.margin` in `Auto.quantile` of the requests.
        case auto
    }

    /// Settings of the adaptive threshold.
    package enum Auto {
        package static let quantile = 0.95
        /// Motion time that should be left when the answer arrives.
        package static let margin = Duration.milliseconds(200)
        /// Bounds as shares of a chunk's motion time.
        package static let bounds = 0.25...0.9
        /// Used until something was measured.
        package static let initial = 0.5
    }

    package enum Decision: Equatable, Sendable {
        case wait(Duration)
        case observe
    }

    /// First and last pause after a failed request.
    package static let pauses: (first: Duration, last: Duration) = (.milliseconds(20), .milliseconds(200))

    private let mode: Mode
    private let threshold: Threshold
    private let chunk: Duration
    private var latencies: DecayingPercentile
    private var failures = 0
    private var notBefore: MonotonicInstant?
    private var askedAt: MonotonicInstant?

    /// - Parameters:
    ///   - chunk: motion time of the rows that a chunk executes.
    ///   - latencies: what earlier episodes measured, for the adaptive threshold.
    package init(
        mode: Mode,
        threshold: Threshold,
        chunk: Duration,
        latencies: DecayingPercentile = DecayingPercentile()
    ) {
        self.mode = mode
        self.threshold = threshold
        self.chunk = chunk
        self.latencies = latencies
    }

    /// Runway below which an observation is due.
    package var slack: Duration {
        guard mode != .sync else { return .zero }
        switch threshold {
        case .fixed(let share): return chunk * share
        case .auto:
            guard let latency = latencies.value(Auto.quantile) else { return chunk * Auto.initial }
            return min(max(latency + Auto.margin, chunk * Auto.bounds.lowerBound), chunk * Auto.bounds.upperBound)
        }
    }

    package mutating func decide(runway: Duration, at now: MonotonicInstant) -> Decision {
        if let notBefore, now < notBefore { return .wait(notBefore - now) }
        let slack = slack
        // In sync mode the runway must be gone, else it must be below the slack.
        guard runway < slack || runway <= .zero else { return .wait(max(runway - slack, .milliseconds(1))) }
        if askedAt == nil { askedAt = now }
        return .observe
    }

    /// The answer was merged at `now`.
    package mutating func succeeded(at now: MonotonicInstant) {
        // A failure before the success is part of what the robot had to bridge.
        if let askedAt { latencies.record(now - askedAt) }
        askedAt = nil
        failures = 0
        notBefore = nil
    }

    /// - Parameter jitter: 0 to 1, drawn by the caller.
    package mutating func failed(at now: MonotonicInstant, jitter: Double) {
        let ceiling = min(Self.pauses.last, Self.pauses.first * (1 << min(failures, 8)))
        failures += 1
        notBefore = now + max(Self.pauses.first, ceiling * (0.5 + 0.5 * jitter))
    }

    /// The gateway is overloaded and asks for a newer observation not before `pause` has passed.
    ///
    /// Honoured only as far as the runway allows: a robot about to stand still asks anyway.
    package mutating func askedToWait(_ pause: Duration, runway: Duration, at now: MonotonicInstant) {
        guard mode != .sync, let latency = latencies.value(0.5) else { return }
        let affordable = runway - latency - Auto.margin
        guard affordable > .zero else { return }
        notBefore = max(notBefore ?? now, now + min(pause, affordable))
    }
}
