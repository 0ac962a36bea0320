import GrootCore

/// Decides whether a worker may get requests, and when to connect and to check. Pure.
///
/// Events come from the connection and from a timer; each returns what the shell must do. A worker is up from its
/// first good check after connecting; a lost connection takes it out at once, two failed checks in a row take it out
/// within two intervals and two timeouts.
struct HealthMachine: Sendable {
    struct Configuration: Sendable {
        var checkInterval = Duration.milliseconds(500)
        var checkTimeout = Duration.milliseconds(500)
        var failuresUntilDown = 2
        /// Failed checks in a row after which the connection itself is given up.
        var failuresUntilReconnect = 6
        var connectTimeout = Duration.seconds(1)
        var firstBackOff = Duration.milliseconds(100)
        var longestBackOff = Duration.seconds(2)
        /// A connection that ends sooner than this with GOAWAY is not followed by another one at once.
        var shortestLife = Duration.milliseconds(10)
        /// Control plane: being connected is being up.
        var checks = true
    }

    enum Action: Sendable, Equatable {
        /// Open a connection now.
        case connect
        /// Call `timerFired` at this instant; replaces the earlier request.
        case wake(at: MonotonicInstant)
        /// Send a health check now and report its result.
        case check
        /// Close the connection; `connectionLost` need not be reported.
        case disconnect
        /// The worker may get requests from now on.
        case up
        /// The worker must get none, and those it has not answered go elsewhere.
        case down(reason: String)
    }

    private enum State: Sendable {
        case waiting(until: MonotonicInstant)
        case connecting
        case connected(Checks)
    }

    private struct Checks: Sendable {
        var inFlight = false
        var next: MonotonicInstant
        var failures = 0
    }

    let configuration: Configuration
    private var state: State
    private var backOff: Duration
    private(set) var isUp = false
    /// Why the worker is down; empty when it is up.
    private(set) var reason = "not reached yet"

    init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
        self.backOff = configuration.firstBackOff
        self.state = .waiting(until: MonotonicInstant(nanoseconds: 0))
    }

    mutating func started(at now: MonotonicInstant) -> [Action] {
        state = .connecting
        return [.connect]
    }

    mutating func timerFired(at now: MonotonicInstant) -> [Action] {
        switch state {
        case .waiting(let until):
            guard now >= until else { return [.wake(at: until)] }
            state = .connecting
            return [.connect]
        case .connecting: return []
        case .connected(var checks):
            guard !checks.inFlight else { return [] }
            guard now >= checks.next else { return [.wake(at: checks.next)] }
            checks.inFlight = true
            checks.next = now + configuration.checkInterval
            state = .connected(checks)
            return [.check]
        }
    }

    mutating func connected(at now: MonotonicInstant) -> [Action] {
        guard case .connecting = state else { return [] }
        guard configuration.checks else {
            state = .connected(Checks(inFlight: true, next: now))
            return rise()
        }
        state = .connected(Checks(inFlight: true, next: now + configuration.checkInterval))
        return [.check]
    }

    /// The connection broke, could not be opened, or takes no more streams.
    mutating func connectionLost(_ why: String, at now: MonotonicInstant) -> [Action] {
        if case .waiting = state { return [] }
        let until = now + backOff
        backOff = min(backOff * 2, configuration.longestBackOff)
        state = .waiting(until: until)
        return fall(why) + [.wake(at: until)]
    }

    /// The connection in use takes no more streams (GOAWAY), and there is no other.
    ///
    /// A worker that served is asked for another connection at once: its peers end connections in the ordinary course of
    /// things. A worker that goes refuses it, and is waited for as any other.
    mutating func connectionWentAway(_ why: String, after life: Duration, at now: MonotonicInstant) -> [Action] {
        guard isUp, life >= configuration.shortestLife else { return connectionLost(why, at: now) }
        state = .connecting
        return fall(why) + [.connect]
    }

    /// Another connection, already checked, has taken the place of the one in use.
    mutating func connectionReplaced(at now: MonotonicInstant) -> [Action] {
        guard case .connected = state, configuration.checks else { return [] }
        state = .connected(Checks(inFlight: true, next: now + configuration.checkInterval))
        return [.check]
    }

    mutating func checkSucceeded(at now: MonotonicInstant) -> [Action] {
        guard case .connected(var checks) = state, checks.inFlight, configuration.checks else { return [] }
        checks.inFlight = false
        checks.failures = 0
        state = .connected(checks)
        return rise() + [.wake(at: max(now, checks.next))]
    }

    mutating func checkFailed(_ why: String, at now: MonotonicInstant) -> [Action] {
        guard case .connected(var checks) = state, checks.inFlight, configuration.checks else { return [] }
        checks.inFlight = false
        checks.failures += 1
        state = .connected(checks)
        var actions: [Action] = []
        if !isUp {
            reason = why
        } else if checks.failures >= configuration.failuresUntilDown {
            actions += fall(why)
        }
        guard checks.failures < configuration.failuresUntilReconnect else {
            return actions + [.disconnect] + connectionLost(why, at: now)
        }
        return actions + [.wake(at: max(now, checks.next))]
    }

    private mutating func rise() -> [Action] {
        backOff = configuration.firstBackOff
        reason = ""
        guard !isUp else { return [] }
        isUp = true
        return [.up]
    }

    private mutating func fall(_ why: String) -> [Action] {
        reason = why
        guard isUp else { return [] }
        isUp = false
        return [.down(reason: why)]
    }
}
