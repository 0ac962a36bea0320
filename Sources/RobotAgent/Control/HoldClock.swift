import GrootCore

/// How long each reason has held the arms: one time per reason, so that none runs on another one's account. Pure.
///
/// All begin anew as soon as the arms follow again. Owned by the session machine; its array is allocated once.
package struct HoldClock: Sendable {
    private let limits: SafetyGate.Limits
    private let tick: Duration
    private var held: [Int]

    package init(limits: SafetyGate.Limits, tick: Duration) {
        self.limits = limits
        self.tick = tick
        held = Array(repeating: 0, count: HoldReason.allCases.count)
    }

    /// Counts `ticks` of `reason`.
    ///
    /// - Returns: the fault once the reason has lasted longer than its limit.
    package mutating func held(_ reason: HoldReason, ticks: Int) -> Fault? {
        // A jump says nothing about how long the robot had no action: it counts once.
        held[Int(reason.rawValue)] += reason == .clockJump ? 1 : ticks
        if reason == .linkLost || reason == .workersLost, time(reason) > limits.hold {
            // Whoever was gone that long gets the whole time again to send a first chunk.
            held[Int(HoldReason.starved.rawValue)] = 0
        }
        guard let (limit, fault) = limit(reason), time(reason) > limit else { return nil }
        return fault
    }

    package mutating func followed() {
        for index in held.indices { held[index] = 0 }
    }

    private func time(_ reason: HoldReason) -> Duration { tick * held[Int(reason.rawValue)] }

    /// How long a reason may last and what it then becomes; nil lasts as long as it likes.
    private func limit(_ reason: HoldReason) -> (Duration, Fault)? {
        switch reason {
        case .starved, .staleAction, .clockJump: (limits.hold, .starved)
        case .linkLost: (limits.linkHold, .linkLost)
        case .workersLost: (limits.workersHold, .workersLost)
        case .blind: (limits.hold, .blind)
        case .otherCommander, .nobodyListens, .doubledInput, .unusableInput: nil
        }
    }
}
