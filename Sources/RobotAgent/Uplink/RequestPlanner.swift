package import GrootCore

/// Decides when the next observation is due. Pure; owned by the uplink task.
///
/// `threshold` counts unexecuted motion time: an observation is due when the runway is shorter than
/// `threshold * chunkSize * 100 ms`. A **larger** threshold asks earlier and more often (the ancestor's
/// guide says the opposite). One request is in flight at a time.
package struct RequestPlanner: Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        /// Infer while the robot moves.
        case async
        /// Infer when nothing is left, stand still meanwhile.
        case sync
    }

    package enum Decision: Equatable, Sendable {
        case wait(Duration)
        case observe
    }

    /// First and last pause after a failed request.
    package static let pauses: (first: Duration, last: Duration) = (.milliseconds(20), .milliseconds(200))

    private let threshold: Duration
    private var failures = 0
    private var notBefore: MonotonicInstant?

    package init(mode: Mode, threshold: Double, chunkSize: Int) {
        self.threshold = mode == .sync ? .zero : .milliseconds(100) * (threshold * Double(chunkSize))
    }

    package func decide(runway: Duration, at now: MonotonicInstant) -> Decision {
        if let notBefore, now < notBefore { return .wait(notBefore - now) }
        // In sync mode the runway must be gone, in async mode it must be below the threshold.
        return runway < threshold || runway <= .zero ? .observe : .wait(max(runway - threshold, .milliseconds(1)))
    }

    package mutating func succeeded() {
        failures = 0
        notBefore = nil
    }

    /// - Parameter jitter: 0 to 1, drawn by the caller.
    package mutating func failed(at now: MonotonicInstant, jitter: Double) {
        let ceiling = min(Self.pauses.last, Self.pauses.first * (1 << min(failures, 8)))
        failures += 1
        notBefore = now + max(Self.pauses.first, ceiling * (0.5 + 0.5 * jitter))
    }
}
