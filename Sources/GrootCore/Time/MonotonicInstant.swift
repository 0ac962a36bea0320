import Glibc

/// An instant on this machine's monotonic clock, in nanoseconds since an arbitrary origin.
///
/// State machines take instants as parameters and never read a clock themselves, so that tests choose
/// the time. Instants of two machines (or of two boots) must never be compared.
package struct MonotonicInstant: Hashable, Comparable, Sendable, Codable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Reads `CLOCK_MONOTONIC`.
    package static func now() -> MonotonicInstant {
        // Not through SuspendingClock, whose 128-bit arithmetic takes longer than reading the clock.
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Saturates: a deadline in a thousand years is never reached, and ends no process.
    package func advanced(by duration: Duration) -> MonotonicInstant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.nanoseconds)
        return MonotonicInstant(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
    }

    /// Saturates as `advanced(by:)` does.
    package func duration(to other: MonotonicInstant) -> Duration {
        let (difference, overflow) = other.nanoseconds.subtractingReportingOverflow(nanoseconds)
        return .nanoseconds(overflow ? (other < self ? .min : .max) : difference)
    }

    package static func < (left: MonotonicInstant, right: MonotonicInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    package static func + (instant: MonotonicInstant, duration: Duration) -> MonotonicInstant {
        instant.advanced(by: duration)
    }

    package static func - (left: MonotonicInstant, right: MonotonicInstant) -> Duration {
        right.duration(to: left)
    }
}

extension Duration {
    /// Whole nanoseconds; saturates after 292 years.
    package var nanoseconds: Int64 {
        // Up to nine seconds in 64-bit arithmetic.
        if let attoseconds = Int64(exactly: attoseconds) { return attoseconds / 1_000_000_000 }
        let (seconds, attoseconds) = components
        return seconds.multipliedReportingOverflow(by: 1_000_000_000).overflow
            ? (seconds < 0 ? .min : .max) : seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    package var milliseconds: Double { Double(nanoseconds) / 1e6 }
    package var seconds: Double { Double(nanoseconds) / 1e9 }
}
