import GrootCore

/// The rate of the control loop, from the robot's profile: the one place that says how long a tick is.
package struct ControlRate: Sendable, Equatable {
    /// Rates that a profile may name.
    package static let range = 10...1000

    package let hertz: Int

    package init(hertz: Int) {
        precondition(Self.range.contains(hertz), "profiles are checked before")
        self.hertz = hertz
    }

    package var tick: Duration { .nanoseconds(Int64(1_000_000_000 / hertz)) }

    /// Ticks that cover `duration`, the last perhaps in part; at least 0.
    package func ticks(covering duration: Duration) -> Int {
        let tick = tick.nanoseconds
        return Int((max(0, duration.nanoseconds) + tick - 1) / tick)
    }

    package func duration(of ticks: Int) -> Duration { .nanoseconds(tick.nanoseconds * Int64(ticks)) }
}
