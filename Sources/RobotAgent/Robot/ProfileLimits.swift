import GrootCore

extension SafetyGate.Limits {
    /// rad: what `arm.following_tolerance_rad` is without the key. A quiet simulator is off by 0.145 in 99 % of the ticks, 0.21
    /// at most.
    package static let defaultFollowingTolerance: Float = 0.35

    /// The profile's limits: arms, claws, then the base when the policy commands it.
    ///
    /// - Parameter isPublishing: false while commands reach nobody, who then cannot follow them.
    package init(_ profile: RobotProfile, dimensions: Int, isPublishing: Bool = true) {
        let claw = profile.claw
        let claws = profile.claws.count
        let base = dimensions > profile.claws.upperBound ? profile.base : nil
        let free = [Float](repeating: .infinity, count: claws)
        let limits = profile.limits
        func time(_ milliseconds: Double) -> Duration { .milliseconds(Int64(milliseconds)) }
        self.init(
            minimum: profile.arm.minimumRad + free.map { _ in min(claw.open, claw.closed) } + (base?.minimum ?? []),
            maximum: profile.arm.maximumRad + free.map { _ in max(claw.open, claw.closed) } + (base?.maximum ?? []),
            velocity: profile.arm.maximumVelocityRadS + free + (base?.maximumVelocity ?? []),
            acceleration: profile.arm.maximumAccelerationRadS2 + free
                + (base.map { _ in [.infinity, .infinity] } ?? []),
            firstActionTolerance: profile.arm.firstActionToleranceRad,
            arms: profile.armJoints,
            positionNoise: limits.positionNoiseRad ?? RobotProfile.Limits.defaultPositionNoise,
            hold: time(limits.holdMs),
            linkHold: time(limits.linkHoldMs),
            workersHold: time(limits.workersHoldMs ?? limits.linkHoldMs),
            staleState: time(limits.staleJointStateMs),
            staleAction: time(limits.staleActionMs),
            jump: time(limits.clockJumpMs),
            stop: time(limits.stopMs)
        )
        restTolerance = profile.arm.arrivalToleranceRad
        guard isPublishing else { return }
        followingTolerance = profile.arm.followingToleranceRad ?? Self.defaultFollowingTolerance
        followingTime = time(limits.followingErrorMs ?? 400)
        torque = profile.arm.maximumTorqueNm ?? []
    }
}
