import GrootCore

extension SafetyGate {
    /// What a profile allows. Arms in rad, rad/s, rad/s²; claws 0 to 100.
    package struct Limits: Sendable {
        package static let defaultStaleAction = Duration.seconds(3)

        /// One entry per dimension of a target, arms, claws and what else the robot has.
        package var minimum: [Float]
        package var maximum: [Float]
        /// Per second; infinite where the actuator limits itself (claws).
        package var velocity: [Float]
        /// Per second squared; infinite where nothing is limited.
        package var acceleration: [Float]
        /// The first way point after standing may differ from the measured pose by this much (arms only).
        package var firstActionTolerance: Float
        package var arms: Range<Int>
        /// An arm target this far beyond its position limit is the policy's ordinary noise, rad: clamped like any other, and
        /// counted apart.
        package var positionNoise: Float
        /// How long the last target is held without a new action before the robot is stopped for good.
        package var hold: Duration
        /// The same while the gateway does not answer: long enough for a restart.
        package var linkHold: Duration
        /// The same while the gateway says that no worker can serve.
        package var workersHold: Duration
        /// Joint state older than this counts as "no action": the robot cannot be judged.
        package var staleState: Duration
        /// An action that rests on an observation older than this counts as "no action".
        package var staleAction: Duration
        /// Cycles missed in one go, as after a suspended machine, that make the plan worthless.
        package var jump: Duration
        /// Time over which a moving robot is brought to rest.
        package var stop: Duration
        /// rad: a joint further than this from its command is elsewhere; nil does not look (nothing is published).
        package var followingTolerance: Float?
        /// For how long it must be elsewhere, or push too hard.
        package var followingTime = Duration.milliseconds(400)
        /// Nm, one entry per arm joint; empty limits none.
        package var torque: [Float] = []
        /// rad: a standing arm nearer than this to its command counts as being there.
        package var restTolerance: Float = 0.06
        /// rad: how far outside of its range a joint may read before no motion starts from there.
        package var poseMargin: Float = 0.1

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
            workersHold: Duration? = nil,
            staleState: Duration = .milliseconds(250),
            staleAction: Duration = defaultStaleAction,
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
            self.workersHold = workersHold ?? linkHold ?? hold
            self.staleState = staleState
            self.staleAction = staleAction
            self.jump = jump
            self.stop = stop
        }

        /// How long the arms need to come to rest from their highest speed, but no longer than a stop takes.
        package var rest: Duration {
            var seconds: Float = 0
            for index in arms where acceleration[index].isFinite && velocity[index].isFinite {
                seconds = max(seconds, velocity[index] / acceleration[index])
            }
            return min(.seconds(Double(seconds)), stop)
        }
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
}
