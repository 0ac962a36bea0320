import GrootAPI
import GrootCore
import Histogram

/// Turns the control thread's traces into one `ControlSample` a second and into safety events.
///
/// Owned by the episode runner's task; the control thread only pushes into a ring.
struct ControlSampler {
    static let period = Duration.seconds(1)
    /// Ten seconds; later ticks count as that late.
    private static let worst: UInt64 = 10_000_000_000

    private var jitter = Histogram<UInt64>(
        highestTrackableValue: worst,
        numberOfSignificantValueDigits: .three
    )
    private var reported = EpisodeCounters()
    private var minimumRunway: Int64?
    private var windowStart: MonotonicInstant
    private let tick: Duration

    init(tick: Duration, startedAt now: MonotonicInstant) {
        self.tick = tick
        windowStart = now
    }

    /// Jitter over the whole episode.
    private(set) var total = Histogram<UInt64>(
        highestTrackableValue: worst,
        numberOfSignificantValueDigits: .three
    )

    mutating func add(_ trace: TickTrace) {
        let late = min(UInt64(max(0, trace.latenessNanoseconds)), Self.worst)
        jitter.record(late)
        total.record(late)
        minimumRunway = min(minimumRunway ?? .max, trace.runwayTicks)
    }

    /// A sample when a second has passed, with what the gate did meanwhile.
    mutating func sample(
        _ status: SessionStatus,
        episode: String,
        at now: MonotonicInstant
    ) -> (sample: Groot_V1_ControlSample, events: [(name: String, message: String)])? {
        guard now - windowStart >= Self.period else { return nil }
        defer {
            reported = status.counters
            minimumRunway = nil
            windowStart = now
            jitter.reset()
        }
        let counters = status.counters
        var sample = Groot_V1_ControlSample()
        sample.episodeID = episode
        sample.sampledAtUnixNs = WallClock.unixNanoseconds()
        sample.ticks = counters.ticks &- reported.ticks
        sample.starvedTicks = counters.starvedTicks &- reported.starvedTicks
        sample.missedCycles = counters.missedCycles &- reported.missedCycles
        sample.limitedTicks = counters.limitedTicks &- reported.limitedTicks
        sample.runwayNs = status.runway.nanoseconds
        sample.minRunwayNs = (minimumRunway ?? status.runwayTicks) * tick.nanoseconds
        sample.jitterP50Ns = jitter.valueAtPercentile(50)
        sample.jitterP99Ns = jitter.valueAtPercentile(99)
        sample.jitterMaxNs = jitter.max
        var events: [(String, String)] = []
        func note(_ name: String, _ path: KeyPath<EpisodeCounters, UInt64>) {
            let count = counters[keyPath: path] &- reported[keyPath: path]
            if count > 0 { events.append((name, "\(count) ticks in \(Self.period.seconds) s")) }
        }
        note("position_limited", \.positionLimited)
        note("velocity_limited", \.velocityLimited)
        note("acceleration_limited", \.accelerationLimited)
        note("stale_joint_state", \.staleStateTicks)
        note("stale_action", \.staleActionTicks)
        note("clock_jump", \.clockJumps)
        return (sample, events)
    }
}
