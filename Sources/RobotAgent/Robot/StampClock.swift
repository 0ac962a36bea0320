package import GrootCore

/// Maps one publisher's stamps to this machine's monotonic clock without trusting either wall clock.
///
/// The smallest difference (arrival minus stamp) seen lately belongs to the message that travelled fastest; every other
/// one is placed relative to it. A stamp that cannot be true is not believed: one that would lie in the future, or that
/// stands back while messages come as evenly as before. Three such messages that agree are a clock that was set, and are
/// followed; a single one changes nothing. Pure; one for each publisher, owned by `InputContract`.
package struct StampClock: Sendable {
    package enum Reading: Sendable, Equatable {
        /// When the message was made, on this machine's clock.
        case captured(MonotonicInstant)
        /// The same, after the publisher's clock was set by this much.
        case stepped(MonotonicInstant, by: Duration)
        /// The publisher does not stamp.
        case unstamped
        /// The stamp of the message before.
        case repeated
        /// A stamp that does not fit the publisher's clock: the message's age is not known.
        case doubtful
    }

    /// A message may seem this much faster than the fastest one: clocks drift, and arrival is measured late at times.
    static let tolerance: Int64 = 20_000_000
    /// Below this a late message and a clock that was set back need not be told apart.
    static let late: Int64 = 40_000_000
    /// Messages that must agree on a new clock.
    static let agreement = 3
    /// The fastest message of this time and the one before counts; 200 ppm of drift come to 8 ms.
    static let window = Duration.seconds(20)

    private struct Message: Sendable {
        var stamp: Int64
        var arrival: Int64

        var difference: Int64 { arrival - stamp }
    }

    /// Smallest difference of this window and of the one before, nanoseconds.
    private var current: Int64?
    private var previous: Int64?
    private var windowStart: MonotonicInstant?
    /// The message before, believed or not.
    private var last: Message?
    /// Usual time between two messages.
    private var period: Int64?
    /// A clock that was not believed yet: its smallest difference and how many messages speak for it.
    private var doubt: (difference: Int64, count: Int)?

    package init() {}

    /// - Parameter stamp: nanoseconds on the publisher's clock; 0 when it does not stamp.
    package mutating func arrived(stamp: Int64, at now: MonotonicInstant) -> Reading {
        guard stamp != 0 else { return .unstamped }
        let message = Message(stamp: stamp, arrival: now.nanoseconds)
        guard let last else {
            self.last = message
            return believe(message, at: now)
        }
        guard stamp != last.stamp else {
            // A clock that was set back by just the time between two messages looks like this, too.
            if let offset, message.difference - offset > Self.late { doubt = (message.difference, 1) }
            return .repeated
        }
        defer {
            let passed = message.arrival - last.arrival
            period = period.map { ($0 * 7 + min(max(passed, $0 / 4), $0 * 4)) / 8 } ?? passed
            self.last = message
        }
        guard let offset else { return believe(message, at: now) }
        let delay = message.difference - offset
        if let doubt, abs(message.difference - doubt.difference) <= Self.tolerance {
            let agreed = (min(doubt.difference, message.difference), doubt.count + 1)
            guard agreed.1 >= Self.agreement else {
                self.doubt = agreed
                return .doubtful
            }
            current = agreed.0
            previous = nil
            windowStart = now
            self.doubt = nil
            return .stepped(instant(of: message), by: .nanoseconds(offset - agreed.0))
        }
        if delay < -Self.tolerance || (delay > Self.late && (doubt != nil || isSetBack(message, after: last))) {
            doubt = (message.difference, 1)
            return .doubtful
        }
        doubt = nil
        return believe(message, at: now)
    }

    /// This machine's clock minus the publisher's, and the time of its fastest message; nil before the first.
    package var offset: Int64? {
        guard let current else { return previous }
        return previous.map { min($0, current) } ?? current
    }

    /// Whether a late message's stamp is to blame, and not its way: a stream of messages only runs forward, and what was
    /// held up comes after a pause, with stamps as evenly spaced as before.
    private func isSetBack(_ message: Message, after last: Message) -> Bool {
        let step = message.stamp - last.stamp
        guard step > 0 else { return true }
        let passed = message.arrival - last.arrival
        guard let period, passed - step > Self.tolerance else { return false }
        return abs(step - period) > abs(passed - period)
    }

    private mutating func believe(_ message: Message, at now: MonotonicInstant) -> Reading {
        if let windowStart, now - windowStart < Self.window {
            current = min(current ?? message.difference, message.difference)
        } else {
            previous = current
            current = message.difference
            windowStart = now
        }
        return .captured(instant(of: message))
    }

    /// Never later than the arrival.
    private func instant(of message: Message) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: min(message.stamp + (offset ?? message.difference), message.arrival))
    }
}
