import GrootCore

/// Decides when a second connection to a worker is kept ready, to take over in the moment in which the one in use ends
/// with GOAWAY. Pure.
///
/// A peer may end a connection after so many requests or so much time, and from its GOAWAY on nothing may be opened on
/// it. The first one costs the time to connect and to check; after it a spare is there before the next one comes, for as
/// long as GOAWAYs keep coming. Workers that never say it never have a second connection.
struct SpareMachine: Sendable {
    struct Configuration: Sendable {
        /// A spare is kept for so long after the last GOAWAY.
        var keptFor = Duration.seconds(600)
        var firstBackOff = Duration.milliseconds(100)
        var longestBackOff = Duration.seconds(10)
    }

    enum Action: Sendable, Equatable {
        /// Open a spare now, check it, and report `checked` or `lost`.
        case open
        /// Call `timerFired` at this instant; replaces the earlier request.
        case wake(at: MonotonicInstant)
        /// Close the spare; `lost` need not be reported.
        case close
    }

    private enum State: Sendable {
        case none
        case waiting(until: MonotonicInstant)
        case opening
        case ready
    }

    private let configuration: Configuration
    private var state = State.none
    private var backOff: Duration
    /// Nil while no GOAWAY was heard.
    private var wantedUntil: MonotonicInstant?

    init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
        backOff = configuration.firstBackOff
    }

    /// The spare may be put to use.
    var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    /// The connection in use ended with GOAWAY; a spare that was ready has taken its place.
    mutating func wentAway(at now: MonotonicInstant) -> [Action] {
        wantedUntil = now + configuration.keptFor
        guard isReady else { return [] }
        state = .opening
        return [.open]
    }

    /// The worker serves on a connection that had no spare.
    mutating func cameUp(at now: MonotonicInstant) -> [Action] {
        guard case .none = state, let wantedUntil, now < wantedUntil else { return [] }
        state = .opening
        return [.open]
    }

    /// The spare is open and the worker answers on it that it serves.
    mutating func checked(at now: MonotonicInstant) -> [Action] {
        guard case .opening = state, let wantedUntil else { return [] }
        state = .ready
        backOff = configuration.firstBackOff
        return [.wake(at: max(now, wantedUntil))]
    }

    /// The spare could not be opened, failed its check, or ended.
    mutating func lost(at now: MonotonicInstant) -> [Action] {
        switch state {
        case .none, .waiting: return []
        case .opening, .ready: break
        }
        let until = now + backOff
        backOff = min(backOff * 2, configuration.longestBackOff)
        state = .waiting(until: until)
        return [.wake(at: until)]
    }

    /// The worker is lost or fails its checks: its spare is worth nothing.
    mutating func wentDown() -> [Action] {
        switch state {
        case .none: return []
        case .waiting:
            state = .none
            return []
        case .opening, .ready:
            state = .none
            return [.close]
        }
    }

    mutating func timerFired(at now: MonotonicInstant) -> [Action] {
        switch state {
        case .none, .opening: return []
        case .waiting(let until):
            guard now >= until else { return [.wake(at: until)] }
            guard let wantedUntil, now < wantedUntil else {
                state = .none
                return []
            }
            state = .opening
            return [.open]
        case .ready:
            guard let wantedUntil, now < wantedUntil else {
                state = .none
                return [.close]
            }
            return [.wake(at: wantedUntil)]
        }
    }
}
