import GrootCore

/// What stands between the plan and the robot: the last place where a command can be changed or stopped.
///
/// Units: rad and rad/s for arm joints, 0 to 100 for claws. Pure and owned by the control thread; every
/// array is allocated at construction.
package struct SafetyGate: Sendable {
    package struct Limits: Sendable {
        /// One entry per dimension of a target, arms and claws.
        package var minimum: [Float]
        package var maximum: [Float]
        /// Per second; infinite where the actuator limits itself (claws).
        package var velocity: [Float]
        /// The first way point of an episode may differ from the measured pose by this much (arms only).
        package var firstActionTolerance: Float
        package var arms: Range<Int>
        /// How long the last target is held without a new action before the robot is stopped.
        package var hold: Duration
        /// Joint state older than this counts as "no action": the robot cannot be judged.
        package var staleState: Duration
        /// Time over which a moving robot is brought to rest.
        package var stop: Duration

        package init(
            minimum: [Float],
            maximum: [Float],
            velocity: [Float],
            firstActionTolerance: Float,
            arms: Range<Int>,
            hold: Duration,
            staleState: Duration = .milliseconds(250),
            stop: Duration = .milliseconds(300)
        ) {
            self.minimum = minimum
            self.maximum = maximum
            self.velocity = velocity
            self.firstActionTolerance = firstActionTolerance
            self.arms = arms
            self.hold = hold
            self.staleState = staleState
            self.stop = stop
        }
    }

    package enum Fault: Equatable, Sendable {
        case notFinite(dimension: Int)
        /// The first way point is too far from where the arm is.
        case farFromPose(dimension: Int, distance: Float)
        /// Nothing to execute for longer than the hold limit.
        case starved
        /// No joint state for longer than the hold limit.
        case blind
    }

    package enum Verdict: Equatable, Sendable {
        /// Publish `output`; `limited` when it differs from what was planned, `held` when nothing was planned.
        case publish(limited: Bool, held: Bool)
        /// Publish `output`: the robot is being brought to rest.
        case stopping
        /// Publish nothing any more.
        case silent
    }

    private enum State: Equatable, Sendable {
        case idle
        case following
        case stopping(ticksLeft: Int)
        case stopped
    }

    package let limits: Limits
    /// The command to publish.
    package private(set) var output: [Float]
    package private(set) var fault: Fault?
    private let tick: Duration
    private var state = State.idle
    /// Change of the last command per tick.
    private var step: [Float]
    private var heldTicks = 0
    private var blindTicks = 0

    package init(limits: Limits, tick: Duration = .milliseconds(10)) {
        self.limits = limits
        self.tick = tick
        self.output = Array(repeating: 0, count: limits.minimum.count)
        self.step = output
    }

    package var isStopped: Bool { state == .stopped }
    package var isFollowing: Bool { state == .following }

    /// Starts to follow from the measured `pose`.
    package mutating func started(at pose: [Float]) {
        output = pose
        for index in step.indices { step[index] = 0 }
        fault = nil
        heldTicks = 0
        blindTicks = 0
        state = .following
    }

    /// Judges the first way point of an episode; a refusal stops the gate before anything was published.
    package mutating func firstActionArrived(_ target: some Collection<Float>, measured pose: [Float]) -> Fault? {
        for (dimension, value) in target.enumerated() where limits.arms.contains(dimension) {
            guard value.isFinite else { return refused(.notFinite(dimension: dimension)) }
            let distance = abs(value - pose[dimension])
            guard distance <= limits.firstActionTolerance else {
                return refused(.farFromPose(dimension: dimension, distance: distance))
            }
        }
        return nil
    }

    /// One control tick. `target` is nil when there is nothing to execute; `elapsedTicks` counts missed cycles too.
    package mutating func ticked(target: [Float]?, elapsedTicks: Int, stateAge: Duration?) -> Verdict {
        switch state {
        case .idle, .stopped: return .silent
        case .stopping(let left): return slowDown(left, elapsedTicks)
        case .following: break
        }
        let seesState = (stateAge ?? .seconds(3600)) <= limits.staleState
        blindTicks = seesState ? 0 : blindTicks + elapsedTicks
        guard let target, seesState else {
            heldTicks += elapsedTicks
            for index in step.indices { step[index] = 0 }
            if tick * heldTicks > limits.hold { return fail(seesState ? .starved : .blind, elapsedTicks) }
            return .publish(limited: false, held: true)
        }
        for (index, value) in target.enumerated() where !value.isFinite {
            return fail(.notFinite(dimension: index), elapsedTicks)
        }
        heldTicks = 0
        return .publish(limited: follow(target, elapsedTicks), held: false)
    }

    /// Brings a moving robot to rest and then falls silent.
    package mutating func stopRequested() {
        guard state == .following else {
            if state == .idle { state = .stopped }
            return
        }
        state = .stopping(ticksLeft: stopTicks)
    }

    /// Falls silent at once: the episode is over and the robot stands.
    package mutating func finished() {
        state = .idle
    }

    private var stopTicks: Int { max(1, Int(limits.stop.nanoseconds / tick.nanoseconds)) }

    private mutating func refused(_ fault: Fault) -> Fault {
        self.fault = fault
        state = .stopped
        return fault
    }

    private mutating func fail(_ fault: Fault, _ elapsedTicks: Int) -> Verdict {
        self.fault = fault
        let isMoving = step.contains { $0 != 0 }
        guard isMoving else {
            state = .stopped
            return .silent
        }
        return slowDown(stopTicks, elapsedTicks)
    }

    private mutating func follow(_ target: [Float], _ elapsedTicks: Int) -> Bool {
        var limited = false
        let seconds = Float(tick.seconds) * Float(max(1, elapsedTicks))
        for index in target.indices {
            let inside = min(max(target[index], limits.minimum[index]), limits.maximum[index])
            let reach = limits.velocity[index] * seconds
            let next = min(max(inside, output[index] - reach), output[index] + reach)
            // A claw command of -0.3 or 100.2 is the policy's ordinary noise, not a safety event.
            if limits.arms.contains(index), next != target[index] { limited = true }
            step[index] = (next - output[index]) / Float(max(1, elapsedTicks))
            output[index] = next
        }
        return limited
    }

    private mutating func slowDown(_ ticksLeft: Int, _ elapsedTicks: Int) -> Verdict {
        let left = ticksLeft - elapsedTicks
        guard left > 0 else {
            state = .stopped
            return .silent
        }
        state = .stopping(ticksLeft: left)
        let share = Float(left) / Float(stopTicks)
        for index in limits.arms {
            let next = output[index] + step[index] * share
            output[index] = min(max(next, limits.minimum[index]), limits.maximum[index])
        }
        return .stopping
    }
}
