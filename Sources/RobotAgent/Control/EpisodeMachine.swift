package import GrootCore

/// Decides when an episode ends and how. The first decision wins; later ones change nothing.
///
/// Pure; owned by the episode runner's task.
package struct EpisodeMachine: Sendable {
    package enum Judge: String, Sendable {
        case simulator
        case `operator`
        case agent
    }

    package struct Verdict: Equatable, Sendable {
        package var outcome: EpisodeOutcome
        package var reason: String
        package var decidedBy: Judge
        /// First executed action until the decision; zero when nothing was executed.
        package var duration: Duration
        /// No further episode: quit, signal or cancellation.
        package var isRunOver = false
    }

    package struct Limits: Sendable {
        /// From the first executed action.
        package var episode: Duration
        /// From the start until the first executed action.
        package var firstAction: Duration

        package init(episode: Duration, firstAction: Duration = .seconds(30)) {
            self.episode = episode
            self.firstAction = firstAction
        }
    }

    private enum State {
        case waiting(since: MonotonicInstant)
        case running(since: MonotonicInstant)
        case finished(Verdict)
    }

    private let limits: Limits
    private var state: State
    private var pausedAt: MonotonicInstant?
    private var pausedFor = Duration.zero

    package init(limits: Limits, startedAt now: MonotonicInstant) {
        self.limits = limits
        self.state = .waiting(since: now)
    }

    package var verdict: Verdict? {
        if case .finished(let verdict) = state { verdict } else { nil }
    }

    package mutating func firstActionExecuted(at now: MonotonicInstant) {
        guard case .waiting = state else { return }
        state = .running(since: now)
    }

    /// The simulator's or the operator's word.
    package mutating func judged(_ outcome: EpisodeOutcome, reason: String, by judge: Judge, at now: MonotonicInstant) {
        finish(outcome, reason, judge, now)
    }

    /// The safety gate stopped the robot, or the operator or a signal ended the run.
    package mutating func aborted(
        reason: String,
        by judge: Judge,
        endsRun: Bool = false,
        at now: MonotonicInstant
    ) {
        finish(.aborted, reason, judge, endsRun: endsRun, now)
    }

    /// A pause counts neither towards the limit nor towards the duration.
    package mutating func paused(at now: MonotonicInstant) {
        if pausedAt == nil { pausedAt = now }
    }

    package mutating func resumed(at now: MonotonicInstant) {
        if let pausedAt { pausedFor = pausedFor + (now - pausedAt) }
        pausedAt = nil
    }

    /// Applies the time limits.
    package mutating func timePassed(_ now: MonotonicInstant) {
        switch state {
        case .waiting(let since) where pausedAt == nil && now - since - pausedFor >= limits.firstAction:
            finish(.aborted, "no action arrived within \(limits.firstAction.seconds) s", .agent, now)
        case .running(let since) where pausedAt == nil && now - since - pausedFor >= limits.episode:
            finish(.timeout, "the episode limit of \(limits.episode.seconds) s passed", .agent, now)
        default: break
        }
    }

    private mutating func finish(
        _ outcome: EpisodeOutcome,
        _ reason: String,
        _ judge: Judge,
        endsRun: Bool = false,
        _ now: MonotonicInstant
    ) {
        resumed(at: now)
        let duration: Duration
        switch state {
        case .finished: return
        case .waiting: duration = .zero
        case .running(let since): duration = now - since - pausedFor
        }
        state = .finished(
            Verdict(
                outcome: outcome,
                reason: reason,
                decidedBy: judge,
                duration: duration,
                isRunOver: endsRun
            )
        )
    }
}
