package import GrootCore

/// Counts frames that make work and carry nothing, over all kinds and both directions, in one token bucket. Pure.
///
/// Empty DATA, PRIORITY, PING, SETTINGS, WINDOW_UPDATE beyond what our DATA explains, streams that were reset by
/// the peer or that the peer made us reset: honest peers stay far below the refill.
package struct NuisanceMonitor: Sendable {
    package enum Nuisance: Sendable {
        case emptyData
        case priority
        case ping
        case settings
        case windowUpdate
        case reset
        case provokedReset

        var cost: Double {
            switch self {
            case .emptyData, .priority, .windowUpdate: 1
            case .ping: 10
            case .settings, .reset, .provokedReset: 20
            }
        }
    }

    private let burst: Double
    private let refillPerSecond: Double
    private var tokens: Double
    private var last: MonotonicInstant?

    package init(burst: Double, refillPerSecond: Double) {
        self.burst = burst
        self.refillPerSecond = refillPerSecond
        self.tokens = burst
    }

    /// Returns false when the peer has gone too far and the connection must end with ENHANCE_YOUR_CALM.
    package mutating func observed(_ nuisance: Nuisance, at now: MonotonicInstant) -> Bool {
        if let last { tokens = min(burst, tokens + (now - last).seconds * refillPerSecond) }
        last = now
        tokens -= nuisance.cost
        return tokens >= 0
    }

    /// A DATA frame of ours entitles the peer to window updates.
    package mutating func sentData() {
        tokens = min(burst, tokens + 4)
    }
}
