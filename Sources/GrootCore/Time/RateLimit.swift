/// Lets one event through per interval and counts what it held back. Pure; the caller passes the time.
package struct RateLimit: Sendable {
    package let interval: Duration
    private var last: MonotonicInstant?
    private var suppressed = 0

    package init(every interval: Duration) {
        self.interval = interval
    }

    /// Returns nil when the event must be held back, else how many were held back since the last one let through.
    package mutating func admit(at now: MonotonicInstant) -> Int? {
        if let last, now - last < interval {
            suppressed += 1
            return nil
        }
        defer { suppressed = 0 }
        last = now
        return suppressed
    }
}
