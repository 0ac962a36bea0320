/// What a person or the system orders the arms to do, wherever it comes from: key, service, signal or a lost terminal.
///
/// In the order of severity: of several orders that reach one tick the most severe is obeyed first, and none that sets arms in
/// motion is obeyed behind one that stops them.
package enum Order: UInt8, Sendable, CaseIterable {
    /// SIGINT.
    case interrupt
    /// SIGTERM.
    case terminate
    /// The terminal that led the session is gone.
    case lostTerminal
    /// Stop and end the run.
    case quit
    /// Stand still until a person says `home`, `resume` or `quit`; an episode ends.
    case stop
    /// Stand still, ready to go on; once more to go on.
    case pause
    /// The episode is a failure.
    case failure
    /// The episode is a success.
    case success
    /// Give the episode up and run it again.
    case retry
    /// Drive home, then stand until a person says how to go on.
    case home
    /// Go on after a pause or a stop.
    case resume

    /// Whether it may set standing arms in motion.
    package var isGo: Bool {
        switch self {
        case .retry, .home, .resume: true
        default: false
        }
    }
}

/// Some orders. A bit each, so that an inbox needs no lock and can never be full.
package struct Orders: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package init(_ order: Order) { rawValue = 1 << UInt32(order.rawValue) }
}
