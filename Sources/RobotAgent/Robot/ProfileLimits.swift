import GrootCore

extension SafetyGate.Limits {
    /// The profile's limits: arms, claws, then the base when the policy commands it.
    package init(_ profile: RobotProfile, dimensions: Int) {
        let claw = profile.claw
        let claws = profile.claws.count
        let base = dimensions > profile.claws.upperBound ? profile.base : nil
        let free = [Float](repeating: .infinity, count: claws)
        self.init(
            minimum: profile.arm.minimumRad + free.map { _ in min(claw.open, claw.closed) } + (base?.minimum ?? []),
            maximum: profile.arm.maximumRad + free.map { _ in max(claw.open, claw.closed) } + (base?.maximum ?? []),
            velocity: profile.arm.maximumVelocityRadS + free + (base?.maximumVelocity ?? []),
            acceleration: profile.arm.maximumAccelerationRadS2 + free
                + (base.map { _ in [.infinity, .infinity] } ?? []),
            firstActionTolerance: profile.arm.firstActionToleranceRad,
            arms: profile.armJoints,
            positionNoise: profile.limits.positionNoiseRad ?? RobotProfile.Limits.defaultPositionNoise,
            hold: .milliseconds(Int64(profile.limits.holdMs)),
            linkHold: .milliseconds(Int64(profile.limits.linkHoldMs)),
            staleState: .milliseconds(Int64(profile.limits.staleJointStateMs)),
            staleAction: .milliseconds(Int64(profile.limits.staleActionMs)),
            jump: .milliseconds(Int64(profile.limits.clockJumpMs)),
            stop: .milliseconds(Int64(profile.limits.stopMs))
        )
    }
}
