import GrootCore

/// What stands between the plan and the robot: the last place where a command can be changed or stopped.
///
/// Its truth table is in docs/safety.md; `SafetyGateTests` compares it with a slow reference model. Units:
/// rad and rad/s for arm joints, 0 to 100 for claws. Pure and owned by the control thread; every array is
/// allocated at construction.
package struct SafetyGate: Sendable {
    private enum State: Equatable, Sendable {
        case idle
        case following
        case paused
        case stopping(ticksLeft: Int)
        case stopped
    }

    package let limits: Limits
    /// rad/s for the arms on top of the limits.
    package var velocityCap: Float = .infinity
    /// The command to publish.
    package private(set) var output: [Float]
    package private(set) var fault: Fault?
    private let tick: Duration
    private var state = State.idle
    /// Change of the last command per tick.
    private var step: [Float]
    /// What the output follows or stands at: the last accepted target.
    private var target: [Float]
    private var heldTicks = 0

    package init(limits: Limits, tick: Duration = .milliseconds(10)) {
        self.limits = limits
        self.tick = tick
        self.output = Array(repeating: 0, count: limits.minimum.count)
        self.step = output
        self.target = output
    }

    package var isStopped: Bool { state == .stopped }

    /// Starts to follow from `pose`, standing still.
    package mutating func started(at pose: [Float]) {
        for index in output.indices {
            output[index] = pose[index]
            target[index] = pose[index]
            step[index] = 0
        }
        fault = nil
        heldTicks = 0
        state = .following
    }

    /// Judges the first way point of an episode; a refusal stops the gate before anything was published.
    package mutating func firstActionArrived(
        _ value: (Int) -> Float,
        measured pose: [Float],
        checking isChecked: (Int) -> Bool = { _ in true }
    ) -> Fault? {
        for dimension in limits.arms where isChecked(dimension) {
            guard value(dimension).isFinite else { return refused(.notFinite(dimension: dimension)) }
            let distance = abs(value(dimension) - pose[dimension])
            guard distance <= limits.firstActionTolerance else {
                return refused(.farFromPose(dimension: dimension, distance: distance))
            }
        }
        return nil
    }

    /// One control tick. `planned` is nil when there is nothing to execute.
    package mutating func ticked(planned: [Float]?, _ input: Input) -> Verdict {
        switch state {
        case .idle, .stopped: return .silent
        case .stopping(let left): return slowDown(left, input.elapsedTicks)
        case .paused:
            stand(input.elapsedTicks)
            return .hold(.paused)
        case .following: break
        }
        if let reason = holdReason(planned, input) { return hold(reason, input) }
        guard let planned else { return hold(.nothingPlanned, input) }
        for index in planned.indices where !planned[index].isFinite {
            return fail(.notFinite(dimension: index), input.elapsedTicks)
        }
        heldTicks = 0
        return .follow(follow(planned, input.elapsedTicks))
    }

    /// The operator wants the robot to stand still, ready to go on.
    package mutating func pauseRequested() {
        if state == .following { state = .paused }
    }

    package mutating func resumeRequested() {
        guard state == .paused else { return }
        heldTicks = 0
        state = .following
    }

    /// Brings a moving robot to rest and then falls silent.
    package mutating func stopRequested() {
        switch state {
        case .following, .paused: state = .stopping(ticksLeft: stopTicks)
        case .idle: state = .stopped
        case .stopping, .stopped: break
        }
    }

    /// Falls silent at once: the episode is over and the robot stands.
    package mutating func finished() {
        state = .idle
    }

    private var stopTicks: Int { max(1, Int(limits.stop.nanoseconds / tick.nanoseconds)) }

    private func holdReason(_ planned: [Float]?, _ input: Input) -> Hold? {
        if tick * input.elapsedTicks > limits.jump { return .clockJump }
        guard let stateAge = input.stateAge, stateAge <= limits.staleState else { return .staleState }
        guard planned != nil else { return .nothingPlanned }
        if let age = input.actionAge, age > limits.staleAction { return .staleAction }
        return nil
    }

    private mutating func hold(_ reason: Hold, _ input: Input) -> Verdict {
        // A jump says nothing about how long the robot had no action: it counts once.
        heldTicks += reason == .clockJump ? 1 : input.elapsedTicks
        let isLinkLost = input.isLinkLost && reason != .staleState
        if tick * heldTicks > (isLinkLost ? limits.linkHold : limits.hold) {
            let fault: Fault = reason == .staleState ? .blind : isLinkLost ? .linkLost : .starved
            return fail(fault, input.elapsedTicks)
        }
        stand(reason == .clockJump ? 1 : input.elapsedTicks)
        return .hold(reason)
    }

    private mutating func refused(_ fault: Fault) -> Fault {
        self.fault = fault
        state = .stopped
        return fault
    }

    private mutating func fail(_ fault: Fault, _ elapsedTicks: Int) -> Verdict {
        self.fault = fault
        let isMoving = limits.arms.contains { step[$0] != 0 }
        guard isMoving else {
            state = .stopped
            return .silent
        }
        return slowDown(stopTicks, elapsedTicks)
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

// MARK: Following within the limits

extension SafetyGate {
    /// Accepts a new target and moves the output towards it.
    private mutating func follow(_ planned: [Float], _ elapsedTicks: Int) -> Clamps {
        var clamps: Clamps = []
        let ticks = Float(max(1, elapsedTicks))
        for index in planned.indices {
            let inside = min(max(planned[index], limits.minimum[index]), limits.maximum[index])
            let excess = abs(planned[index] - inside)
            var changed: Clamps = excess == 0 ? [] : excess > limits.positionNoise ? .position : .positionNoise
            changed.formUnion(advance(index, to: inside, targetStep: (inside - target[index]) / ticks, ticks))
            target[index] = inside
            // A claw command of -0.3 or 100.2 is the policy's ordinary noise, not a safety event.
            if limits.arms.contains(index) { clamps.formUnion(changed) }
        }
        return clamps
    }

    /// Comes to stand at the last target.
    private mutating func stand(_ elapsedTicks: Int) {
        let ticks = Float(max(1, elapsedTicks))
        for index in output.indices { _ = advance(index, to: target[index], targetStep: 0, ticks) }
    }

    /// Moves one dimension by one cycle of `ticks` ticks.
    ///
    /// Follows exactly when the limits allow it. After a limit has held it back it catches up no faster than
    /// it can brake again, so that it does not swing past a target at rest.
    private mutating func advance(_ index: Int, to goal: Float, targetStep: Float, _ ticks: Float) -> Clamps {
        let seconds = Float(tick.seconds)
        let isArm = limits.arms.contains(index)
        let reach = min(limits.velocity[index], isArm ? velocityCap : .infinity) * seconds
        let change = limits.acceleration[index] * seconds * seconds
        let wanted = (goal - output[index]) / ticks
        var next = wanted
        var clamps: Clamps = []
        if change.isFinite {
            // What is left to catch up when the target's own motion is taken out.
            let behind = wanted - targetStep
            let brake = (-change + (change * change + 8 * change * abs(behind) * ticks).squareRoot()) / 2
            let catchUp = min(abs(behind), max(brake, min(change, abs(behind))))
            next = targetStep + (behind < 0 ? -catchUp : catchUp)
            let allowed = change * ticks
            next = min(max(next, step[index] - allowed), step[index] + allowed)
            if abs(next - wanted) > 1e-6 { clamps.insert(.acceleration) }
        }
        let limited = min(max(next, -reach), reach)
        if limited != next { clamps.insert(.velocity) }
        var position = limited == wanted ? goal : output[index] + limited * ticks
        // The position limit is the harder one.
        position = min(max(position, limits.minimum[index]), limits.maximum[index])
        step[index] = (position - output[index]) / ticks
        output[index] = position
        return clamps
    }
}
