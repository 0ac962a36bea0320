import GrootCore

/// An allowance that refills at a rate: what is taken at once may overdraw it once, so that nothing is too large for ever.
///
/// Pure; the caller passes the time.
struct TokenBucket: Sendable {
    private let rate: Double
    private let capacity: Double
    private var tokens: Double
    private var filledAt: MonotonicInstant

    init(perSecond rate: Int, capacity: Int, at now: MonotonicInstant) {
        self.rate = Double(max(1, rate))
        self.capacity = Double(max(1, capacity))
        tokens = self.capacity
        filledAt = now
    }

    /// Nil when `count` was taken, else how long until there is something again.
    mutating func take(_ count: Int, at now: MonotonicInstant) -> Duration? {
        refill(at: now)
        guard tokens > 0 else { return .seconds((1 - tokens) / rate) }
        tokens -= Double(count)
        return nil
    }

    /// Nothing of it is in use; a new one would be the same.
    mutating func isFull(at now: MonotonicInstant) -> Bool {
        refill(at: now)
        return tokens >= capacity
    }

    private mutating func refill(at now: MonotonicInstant) {
        tokens = min(capacity, tokens + max(0, (now - filledAt).seconds) * rate)
        filledAt = now
    }
}
