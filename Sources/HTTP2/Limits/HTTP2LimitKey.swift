import GrootCore

/// One limit as users set it: `http2.<name>` in the configuration file, `--limit <name>=<value>` on the command line.
package struct HTTP2LimitKey: Sendable {
    package enum Unit: String, Sendable {
        case bytes
        case count
        case seconds
        case perSecond = "per second"
    }

    package let name: String
    package let unit: Unit
    package let bounds: ClosedRange<Double>
    package let read: @Sendable (HTTP2Limits) -> Double
    package let write: @Sendable (inout HTTP2Limits, Double) -> Void

    package static let all: [HTTP2LimitKey] = [
        whole("stream-window", .bytes, 65_535...0x7FFF_FFFF, \.streamWindow),
        whole("connection-window", .bytes, 65_535...0x7FFF_FFFF, \.connectionWindow),
        whole("max-concurrent-streams", .count, 1...10_000, \.maxConcurrentStreams),
        whole("max-frame-size", .bytes, 16_384...16_777_215, \.maxFrameSize),
        whole("max-header-fields", .count, 10...10_000, \.maxHeaderFields),
        whole("max-header-list-size", .bytes, 1024...(1 << 20), \.maxHeaderListSize),
        whole("max-continuations", .count, 0...1000, \.maxContinuations),
        time("header-timeout", 0.01...3600, \.headerTimeout),
        whole("inline-body-size", .bytes, 0...65_536, \.inlineBodySize),
        whole("socket-high-water", .bytes, 65_536...(1 << 30), \.socketHighWater),
        whole("max-queued-bytes", .bytes, 65_536...(1 << 40), \.maxQueuedBytes),
        whole("max-queued-bytes-total", .bytes, 65_536...(1 << 40), \.maxQueuedBytesInAll),
        whole("max-connections", .count, 1...1_000_000, \.maxConnections),
        time("handshake-timeout", 0.01...3600, \.handshakeTimeout),
        time("idle-timeout", 0.01...864_000, \.idleTimeout),
        time("stream-idle-timeout", 0.01...864_000, \.streamIdleTimeout),
        time("write-timeout", 0.01...3600, \.writeTimeout),
        time("max-connection-age", 0...864_000, \.maxConnectionAge),
        time("connection-age-grace", 0.01...864_000, \.connectionAgeGrace),
        time("drain-notice", 0.01...60, \.drainNotice),
        time("linger-timeout", 0...60, \.lingerTimeout),
        time("ping-interval", 0...3600, \.pingInterval),
        whole("ping-strikes", .count, 0...1000, \.pingStrikes),
        burst("reset-burst", \.resets),
        rate("reset-rate", \.resets),
        burst("settings-burst", \.settings),
        rate("settings-rate", \.settings),
        burst("ping-burst", \.pings),
        rate("ping-rate", \.pings),
        burst("priority-burst", \.priorities),
        rate("priority-rate", \.priorities),
        burst("window-update-burst", \.windowUpdates),
        rate("window-update-rate", \.windowUpdates),
        burst("empty-frame-burst", \.emptyFrames),
        rate("empty-frame-rate", \.emptyFrames),
        burst("unknown-frame-burst", \.unknownFrames),
        rate("unknown-frame-rate", \.unknownFrames),
    ]

    /// Sets a limit from text; returns what is wrong with it, or nil.
    package static func set(_ name: String, to text: String, in limits: inout HTTP2Limits) -> String? {
        guard let key = all.first(where: { $0.name == name }) else {
            return "no limit is called \"\(name)\"; there are: " + all.map(\.name).joined(separator: ", ")
        }
        guard let value = Double(text), key.bounds.contains(value) else {
            let unit = key.unit == .count ? "" : " (\(key.unit.rawValue))"
            return "\(name) must be a number from \(plain(key.bounds.lowerBound)) to \(plain(key.bounds.upperBound))"
                + "\(unit), not \"\(text)\""
        }
        key.write(&limits, value)
        return nil
    }

    /// The default as it stands in the documentation.
    package var defaultText: String { Self.plain(read(HTTP2Limits())) }

    private static func plain(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))" : "\(value)"
    }

    private static func whole(
        _ name: String,
        _ unit: Unit,
        _ bounds: ClosedRange<Int>,
        _ path: any (WritableKeyPath<HTTP2Limits, Int> & Sendable)
    ) -> HTTP2LimitKey {
        HTTP2LimitKey(
            name: name,
            unit: unit,
            bounds: Double(bounds.lowerBound)...Double(bounds.upperBound),
            read: { Double($0[keyPath: path]) },
            write: { $0[keyPath: path] = Int($1) }
        )
    }

    private static func time(
        _ name: String,
        _ bounds: ClosedRange<Double>,
        _ path: any (WritableKeyPath<HTTP2Limits, Duration> & Sendable)
    ) -> HTTP2LimitKey {
        HTTP2LimitKey(
            name: name,
            unit: .seconds,
            bounds: bounds,
            read: { $0[keyPath: path].seconds },
            write: { $0[keyPath: path] = .nanoseconds(Int64($1 * 1e9)) }
        )
    }

    private static func burst(
        _ name: String,
        _ path: any (WritableKeyPath<HTTP2Limits, HTTP2Limits.Rate> & Sendable)
    ) -> HTTP2LimitKey {
        HTTP2LimitKey(
            name: name,
            unit: .count,
            bounds: 1...1e9,
            read: { $0[keyPath: path].burst },
            write: { $0[keyPath: path].burst = $1 }
        )
    }

    private static func rate(
        _ name: String,
        _ path: any (WritableKeyPath<HTTP2Limits, HTTP2Limits.Rate> & Sendable)
    ) -> HTTP2LimitKey {
        HTTP2LimitKey(
            name: name,
            unit: .perSecond,
            bounds: 0...1e9,
            read: { $0[keyPath: path].perSecond },
            write: { $0[keyPath: path].perSecond = $1 }
        )
    }
}
