/// What an order leads to in a phase. Decelerating first is part of each, where the arms move.
package enum OrderReaction: String, Sendable, CaseIterable {
    /// Nothing to do, and the order is not kept for later.
    case ignored
    /// Stand, claws as they are, until a person says `home`, `resume` or `quit`. An episode ends.
    case stop
    /// Stand, ready to go on.
    case pause
    /// The run goes on where it stood: from the measured pose, through the first-action check.
    case goOn = "go on"
    /// Home within the limits, then as after a stop.
    case home
    /// The episode is over; stand, ready for the next one.
    case endEpisode = "end the episode"
    /// Fall silent, hand back, end the run.
    case leave
    /// The same without decelerating.
    case leaveAtOnce = "leave at once"
}

/// The table phase x order of docs/safety.md, as a function without a default for any order. Pure.
package enum OrderTable {
    /// - Parameters:
    ///   - isAttended: a person sits at the terminal that the run was started from.
    ///   - isSecond: an interrupt that is not the first one.
    package static func reaction(
        to order: Order,
        in phase: SessionPhase,
        isAttended: Bool = false,
        isSecond: Bool = false
    ) -> OrderReaction {
        // What is being handed back cannot be ordered about any more.
        if phase.isOver { return .ignored }
        switch order {
        case .interrupt:
            if isSecond { return .leaveAtOnce }
            // Who stopped before, or never started, has nobody left to stop.
            return isAttended && phase != .stopped && phase != .silent ? .stop : .leave
        case .terminate, .lostTerminal, .quit: return .leave
        case .stop: return phase == .stopped ? .ignored : .stop
        case .pause:
            switch phase {
            case .paused: return .goOn
            case .stopped: return .ignored
            default: return .pause
            }
        case .failure, .success: return phase.isEpisode ? .endEpisode : .ignored
        case .retry:
            switch phase {
            case .stopped, .stopping: return .goOn
            default: return phase.isEpisode ? .endEpisode : .ignored
            }
        case .home:
            // Silent arms may be in somebody else's hands: a scene is being put back, or nothing was taken over yet.
            return phase == .silent || phase == .homing ? .ignored : .home
        case .resume:
            switch phase {
            case .paused, .stopped, .stopping: return .goOn
            default: return .ignored
            }
        }
    }
}

extension SessionPhase {
    /// Phases in which an outcome has something to decide about. (`holding` and `paused` also occur outside of an episode; the
    /// machine then has none to end.)
    fileprivate var isEpisode: Bool {
        switch self {
        case .waiting, .following, .holding, .paused: true
        default: false
        }
    }
}
