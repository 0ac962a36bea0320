package import GrootCore

/// Counts frames that make work and carry nothing, one bucket of tokens a kind. Pure.
package struct FloodMonitor: Sendable {
    package enum Kind: Int, Sendable, CaseIterable {
        /// A stream that the peer reset, or by its faults made us reset.
        case reset
        case settings
        case ping
        case priority
        case windowUpdate
        case emptyFrame
        case unknownFrame

        package var limit: HTTP2Limit {
            switch self {
            case .reset: .rapidReset
            case .settings: .settingsFlood
            case .ping: .pingFlood
            case .priority: .priorityFlood
            case .windowUpdate: .windowUpdateFlood
            case .emptyFrame: .emptyFrameFlood
            case .unknownFrame: .unknownFrameFlood
            }
        }

        fileprivate func rate(_ limits: HTTP2Limits) -> HTTP2Limits.Rate {
            switch self {
            case .reset: limits.resets
            case .settings: limits.settings
            case .ping: limits.pings
            case .priority: limits.priorities
            case .windowUpdate: limits.windowUpdates
            case .emptyFrame: limits.emptyFrames
            case .unknownFrame: limits.unknownFrames
            }
        }
    }

    private struct Bucket {
        let rate: HTTP2Limits.Rate
        var tokens: Double
        var last: MonotonicInstant?
    }

    private var buckets: [Bucket]

    package init(_ limits: HTTP2Limits) {
        buckets = Kind.allCases.map { kind in
            let rate = kind.rate(limits)
            return Bucket(rate: rate, tokens: rate.burst)
        }
    }

    /// Returns false when the peer has gone too far and the connection must end with ENHANCE_YOUR_CALM.
    package mutating func observed(_ kind: Kind, at now: MonotonicInstant) -> Bool {
        var bucket = buckets[kind.rawValue]
        if let last = bucket.last {
            bucket.tokens = min(bucket.rate.burst, bucket.tokens + (now - last).seconds * bucket.rate.perSecond)
        }
        bucket.last = now
        bucket.tokens -= 1
        buckets[kind.rawValue] = bucket
        return bucket.tokens >= 0
    }

    /// A DATA frame of ours entitles the peer to window updates.
    package mutating func sentData() {
        let index = Kind.windowUpdate.rawValue
        buckets[index].tokens = min(buckets[index].rate.burst, buckets[index].tokens + 4)
    }
}
