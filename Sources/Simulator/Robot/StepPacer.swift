import GrootCore

/// Keeps simulated time on the wall clock with absolute deadlines: a late wake-up runs every step that is due.
///
/// Pure; the physics thread owns it.
struct StepPacer: Sendable {
    struct Due: Hashable, Sendable {
        var steps: Int
        /// How late the first of them is.
        var behind: Duration
        /// Steps given up because the delay exceeded `maximumBehind`.
        var skipped: Int64
    }

    static let step = Duration.milliseconds(2)
    /// A delay beyond this is not caught up: the robot would race through it.
    static let maximumBehind = Duration.seconds(1)
    /// Most steps per wake-up, so that commands are still looked at while catching up.
    static let maximumSteps = 25
    /// A control tick that starts later than this counts as late.
    static let lateTick = Duration.milliseconds(10)

    private var origin: MonotonicInstant
    private var stepsDone: Int64 = 0
    private(set) var lateTicks: UInt64 = 0

    init(start: MonotonicInstant) {
        origin = start
    }

    var nextDeadline: MonotonicInstant { deadline(of: stepsDone) }

    private func deadline(of step: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: origin.nanoseconds + (step + 1) * Self.step.nanoseconds)
    }

    mutating func woke(at now: MonotonicInstant) -> Due {
        let behind = max(now - nextDeadline, .zero)
        guard now >= nextDeadline else { return Due(steps: 0, behind: .zero, skipped: 0) }
        let missing = behind.nanoseconds / Self.step.nanoseconds + 1
        if behind > Self.maximumBehind {
            origin = origin + behind
            stepsDone += 1
            lateTicks += UInt64(missing / 5)
            return Due(steps: 1, behind: behind, skipped: missing - 1)
        }
        let steps = min(Int(missing), Self.maximumSteps)
        for index in 0..<Int64(steps) where (stepsDone + index) % 5 == 0 {
            if now - deadline(of: stepsDone + index) > Self.lateTick { lateTicks += 1 }
        }
        stepsDone += Int64(steps)
        return Due(steps: steps, behind: behind, skipped: 0)
    }

    /// Time spent on purpose (a new scene) is not a delay.
    mutating func restarted(at now: MonotonicInstant) {
        origin = MonotonicInstant(nanoseconds: now.nanoseconds - stepsDone * Self.step.nanoseconds)
    }
}
