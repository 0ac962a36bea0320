package import GrootCore

/// When a lost child may start again: at once the first time, then twice as long each time, up to a minute; a child that
/// served for a minute counts as healthy again. Pure.
package struct RestartBackoff: Hashable, Sendable {
    package static let first: Duration = .milliseconds(500)
    package static let longest: Duration = .seconds(60)
    package static let healthy: Duration = .seconds(60)

    private var next = Duration.zero
    private var servingSince: MonotonicInstant?

    package init() {}

    package mutating func childServes(at now: MonotonicInstant) { servingSince = now }

    /// Returns how long to wait before the next start.
    package mutating func childLost(at now: MonotonicInstant) -> Duration {
        if let servingSince, now - servingSince >= Self.healthy { next = .zero }
        servingSince = nil
        defer { next = next == .zero ? Self.first : min(next * 2, Self.longest) }
        return next
    }
}
