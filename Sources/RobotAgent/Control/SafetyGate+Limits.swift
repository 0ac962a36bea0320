extension SafetyGate {
    /// What a profile allows. Arms in rad, rad/s, rad/s²; claws 0 to 100.
    package struct Limits: Sendable {
        /// One entry per dimension of a target, arms, claws and what else the robot has.
        package var minimum: [Float]
        package var maximum: [Float]
        /// Per second; infinite where the actuator limits itself (claws).
        package var velocity: [Float]
        /// Per second squared; infinite where nothing is limited.
        package var acceleration: [Float]
        /// The first way point of an episode may differ from the measured pose by this much (arms only).
        package var firstActionTolerance: Float
        package var arms: Range<Int>
        /// An arm target this far beyond its position limit is the policy's ordinary noise, rad: clamped like any other, and
        /// counted apart.
        package var positionNoise: Float
        /// How long the last target is held without a new action before the robot is stopped for good.
        package var hold: Duration
        /// The same while the gateway is known to be unreachable: long enough for a restart.
        package var linkHold: Duration
        /// Joint state older than this counts as "no action": the robot cannot be judged.
        package var staleState: Duration
        /// An action that rests on an observation older than this counts as "no action".
        package var staleAction: Duration
        /// Cycles missed in one go, as after a suspended machine, that make the plan worthless.
        package var jump: Duration
        /// Time over which a moving robot is brought to rest.
        package var stop: Duration

        package init(
            minimum: [Float],
            maximum: [Float],
            velocity: [Float],
            acceleration: [Float]? = nil,
            firstActionTolerance: Float,
            arms: Range<Int>,
            positionNoise: Float = 0,
            hold: Duration,
            linkHold: Duration? = nil,
            staleState: Duration = .milliseconds(250),
            staleAction: Duration = .milliseconds(3000),
            jump: Duration = .milliseconds(200),
            stop: Duration = .milliseconds(300)
        ) {
            self.minimum = minimum
            self.maximum = maximum
            self.velocity = velocity
            self.acceleration = acceleration ?? velocity.map { _ in .infinity }
            self.firstActionTolerance = firstActionTolerance
            self.arms = arms
            self.positionNoise = positionNoise
            self.hold = hold
            self.linkHold = linkHold ?? hold
            self.staleState = staleState
            self.staleAction = staleAction
            self.jump = jump
            self.stop = stop
        }
    }

    /// Why the robot was stopped or never started. Left by a new episode only.
    package enum Fault: Equatable, Sendable {
        case notFinite(dimension: Int)
        /// The first way point is too far from where the arm is.
        case farFromPose(dimension: Int, distance: Float)
        /// Nothing to execute for longer than the hold limit.
        case starved
        /// The gateway was unreachable for longer than the link hold limit.
        case linkLost
        /// No joint state for longer than the hold limit.
        case blind
    }

    /// Why the last target is held. Left as soon as the reason is gone.
    package enum Hold: Equatable, Sendable {
        /// The plan has no action for this tick.
        case nothingPlanned
        /// The joint state is too old.
        case staleState
        /// The action rests on an observation that is too old.
        case staleAction
        /// Cycles were missed in one go: the plan belongs to another time.
        case clockJump
        case paused
    }

    /// Which limits changed the action of a tick.
    package struct Clamps: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let position = Clamps(rawValue: 1)
        package static let velocity = Clamps(rawValue: 2)
        package static let acceleration = Clamps(rawValue: 4)
        /// Clamped to a position limit by no more than `Limits.positionNoise`.
        package static let positionNoise = Clamps(rawValue: 8)
    }

    package enum Verdict: Equatable, Sendable {
        /// Publish `output`, which follows the target within the limits.
        case follow(Clamps)
        /// Publish `output`, which stands at (or returns to) the last target.
        case hold(Hold)
        /// Publish `output`: the robot is being brought to rest.
        case stopping
        /// Publish nothing any more.
        case silent
    }

    /// What one tick knows.
    package struct Input: Sendable {
        /// Control cycles since the last call, missed ones included; at least 1.
        package var elapsedTicks: Int
        /// Age of the newest joint state; nil when there never was one.
        package var stateAge: Duration?
        /// Age of the observation that the action rests on; nil when unknown or not applicable.
        package var actionAge: Duration?
        /// The gateway does not answer.
        package var isLinkLost: Bool

        package init(
            elapsedTicks: Int = 1,
            stateAge: Duration? = .zero,
            actionAge: Duration? = nil,
            isLinkLost: Bool = false
        ) {
            self.elapsedTicks = elapsedTicks
            self.stateAge = stateAge
            self.actionAge = actionAge
            self.isLinkLost = isLinkLost
        }
    }
}
