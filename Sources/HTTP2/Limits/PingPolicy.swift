package import GrootCore

/// gRPC's rule for pings of clients: on a quiet connection at least an interval apart, with a few strikes. Pure.
///
/// Whatever we send (headers or data) forgives everything: pings that measure a transfer are welcome.
package struct PingPolicy: Sendable {
    private let interval: Duration
    private let strikesAllowed: Int
    private var strikes = 0
    private var last: MonotonicInstant?

    package init(interval: Duration, strikesAllowed: Int) {
        self.interval = interval
        self.strikesAllowed = strikesAllowed
    }

    /// Returns false when the peer pings too often.
    package mutating func pinged(at now: MonotonicInstant) -> Bool {
        guard interval > .zero else { return true }
        defer { last = now }
        guard let last, now - last < interval else { return true }
        strikes += 1
        return strikes <= strikesAllowed
    }

    /// We sent headers or data.
    package mutating func sent() {
        strikes = 0
        last = nil
    }
}
