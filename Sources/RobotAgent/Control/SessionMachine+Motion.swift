import GrootCore

extension SessionMachine {
    /// Runs one tick; true when `command` is to be published.
    ///
    /// - Parameter elapsed: control cycles since the last call, missed ones included; at least 1.
    package mutating func ticked(_ tick: Int64, elapsed: Int, _ inputs: ControlInputs) -> Bool {
        if inputs.interlocks.contains(.superseded) { return superseded() }
        switch state {
        case .silent, .leaving, .ended: return false
        case .approaching(let move), .homing(let move): return drive(move, at: tick, elapsed, inputs)
        case .waiting:
            if let reason = obstacle(inputs, elapsed: elapsed) {
                return hold(reason, .start, at: tick, elapsed, inputs)
            }
            return stand(inputs, elapsed, at: tick)
        case .standing, .paused, .stopped: return stand(inputs, elapsed, at: tick)
        case .following: return follow(at: tick, elapsed, inputs)
        case .holding(let reason, let activity):
            return heldOn(reason, activity, at: tick, elapsed, inputs)
        case .stopping(let rest): return comeToRest(rest, at: tick, elapsed, inputs)
        }
    }

    /// What forbids motion at this tick.
    func obstacle(_ inputs: ControlInputs, elapsed: Int) -> HoldReason? {
        let limits = configuration.limits
        // First: who slept heard nothing either, and says by it nothing about how long the robot was silent.
        if rate.duration(of: elapsed) > limits.jump { return .clockJump }
        let isStale = inputs.stateAge.map { $0 > limits.staleState } ?? true
        return HoldReason.obstacle(inputs.interlocks, isStateStale: isStale)
    }

    private mutating func superseded() -> Bool {
        if state.isOver { return false }
        if isInEpisode { episodeEnd = .failed }
        fault = fault ?? .superseded
        state = .leaving
        stream = .none
        return false
    }

    // MARK: At rest

    /// Streams the pose; arms that turn out to be elsewhere are held where they are.
    private mutating func stand(_ inputs: ControlInputs, _ elapsed: Int, at tick: Int64) -> Bool {
        guard speaks(at: tick, inputs) else { return false }
        let isStale = inputs.stateAge.map { $0 > configuration.limits.staleState } ?? true
        let found = isStale ? nil : watch.ticked(command: gate.output, inputs, elapsed: elapsed)
        if isYielding, isAt(inputs.measured) { isYielding = false }
        guard let found, inputs.isMeasured else {
            gate.stood(elapsed: elapsed)
            return true
        }
        // The command went to where they were measured, and they are elsewhere again: the measurement runs away from it.
        if isYielding {
            fail(found, at: tick, inputs, turnsBack: false)
            return ticked(tick, elapsed: elapsed, inputs)
        }
        watch.reset()
        yields += 1
        isYielding = true
        gate.yielded(to: inputs.measured, elapsed: elapsed)
        return true
    }

    /// Whether standing arms are commanded: not while the topic is another node's, and afterwards from where they are.
    private mutating func speaks(at tick: Int64, _ inputs: ControlInputs) -> Bool {
        let isQuiet = HoldReason.obstacle(inputs.interlocks, isStateStale: false)?.isQuiet == true
        switch stream {
        case .none: return false
        case .open:
            if isQuiet { stream = .quiet }
            return !isQuiet
        case .quiet: return isQuiet ? false : anchored(at: tick, inputs)
        }
    }

    private mutating func comeToRest(
        _ rest: Rest,
        at tick: Int64,
        _ elapsed: Int,
        _ inputs: ControlInputs
    ) -> Bool {
        if yieldTicks > 0 {
            gate.yielded(to: yieldPose, elapsed: elapsed)
            yieldTicks -= elapsed
            if yieldTicks <= 0 || isAt(yieldPose) {
                yieldTicks = 0
                arrived(rest, at: tick, inputs)
            } else if inputs.isMeasured, !isNear(inputs.measured, yieldPose) {
                yieldTicks = 0
                slowing = nil
                gate.brakeBegan()
            }
        } else if slowed(elapsed) {
            arrived(rest, at: tick, inputs)
        }
        return stream == .open
    }

    /// Whether no arm joint of one pose is further than the following tolerance from the other.
    private func isNear(_ pose: [Float], _ other: [Float]) -> Bool {
        let tolerance = configuration.limits.followingTolerance ?? .infinity
        for index in arms where abs(pose[index] - other[index]) > tolerance { return false }
        return true
    }

    /// Whether the arms are commanded to be at `pose`.
    private func isAt(_ pose: [Float]) -> Bool {
        for index in arms where abs(gate.output[index] - pose[index]) > configuration.limits.restTolerance {
            return false
        }
        return !gate.isMoving
    }

    // MARK: Way-points and homing

    private mutating func drive(_ move: Move, at tick: Int64, _ elapsed: Int, _ inputs: ControlInputs) -> Bool {
        if let reason = obstacle(inputs, elapsed: elapsed) {
            return hold(reason, .homing(move), at: tick, elapsed, inputs)
        }
        if let fault = watch.ticked(command: gate.output, inputs, elapsed: elapsed) {
            fail(fault, at: tick, inputs)
            return ticked(tick, elapsed: elapsed, inputs)
        }
        plan.advanced(by: elapsed)
        plan.sample(into: &target)
        _ = gate.followed(target, elapsed: elapsed)
        clock.followed()
        guard plan.isOver, isAtGoal else { return true }
        if case .approaching = state {
            passed(move)
            return true
        }
        // Who is home needs no way there any more, whoever ordered it.
        passedWayPoints = configuration.wayPoints.count
        completedMove = max(completedMove, move.id)
        gate.halted()
        gate.velocityCap = configuration.maximumVelocity ?? .infinity
        state = move.isOrdered ? .stopped : .standing
        return true
    }

    private var isAtGoal: Bool {
        for index in arms where !gate.isFrozen(index) && abs(gate.output[index] - plan.goal[index]) > 1e-4 {
            return false
        }
        return true
    }

    // MARK: Following

    private mutating func follow(at tick: Int64, _ elapsed: Int, _ inputs: ControlInputs) -> Bool {
        let hasAction = queue.take(tick)
        if let reason = obstacle(inputs, elapsed: elapsed) {
            return hold(reason, .episode, at: tick, elapsed, inputs)
        }
        if let fault = watch.ticked(command: gate.output, inputs, elapsed: elapsed) {
            fail(fault, at: tick, inputs)
            return ticked(tick, elapsed: elapsed, inputs)
        }
        guard hasAction else { return hold(missing(inputs), .episode, at: tick, elapsed, inputs) }
        if isPlanAged, let age = queue.planAge(at: tick),
            rate.duration(of: Int(age)) > configuration.limits.staleAction
        {
            return hold(.staleAction, .episode, at: tick, elapsed, inputs)
        }
        chooseTarget()
        if let fault = gate.targetChosen(target) {
            fail(fault, at: tick, inputs)
            return ticked(tick, elapsed: elapsed, inputs)
        }
        count(elapsed)
        count(gate.followed(target, elapsed: elapsed))
        clock.followed()
        if let observedTick {
            counters.agedTicks += 1
            counters.ageSum += UInt64(max(0, tick - observedTick))
        }
        return true
    }

    /// The plan's target with the claws that a person wants held.
    private mutating func chooseTarget() {
        for index in target.indices { target[index] = queue.command[index] }
        guard latch != nil else { return }
        let claws = configuration.queue.claws
        for index in claws where !gate.isFrozen(index) {
            target[index] = latch?.commanded(target[index], claw: index - claws.lowerBound) ?? target[index]
        }
    }

    // MARK: Holding

    /// Why there is nothing to execute.
    private func missing(_ inputs: ControlInputs) -> HoldReason {
        switch inputs.link {
        case .reachable: .starved
        case .silent: .linkLost
        case .noWorkers: .workersLost
        }
    }

    /// A hold begins, or its reason becomes another one.
    private mutating func hold(
        _ reason: HoldReason,
        _ activity: Activity,
        at tick: Int64,
        _ elapsed: Int,
        _ inputs: ControlInputs
    ) -> Bool {
        // What was missed in one go nobody has executed: the arms stand already.
        if reason == .clockJump { gate.halted() } else if !reason.isEndedByChunk { gate.brakeBegan() }
        if case .episode = activity, !reason.isEndedByChunk || reason == .staleAction {
            queue.reset(at: tick + 1, pose: gate.output)
            planVersion += 1
        }
        if reason == .clockJump { counters.clockJumps += 1 }
        return holding(reason, activity, at: tick, elapsed, inputs)
    }

    private mutating func heldOn(
        _ reason: HoldReason,
        _ activity: Activity,
        at tick: Int64,
        _ elapsed: Int,
        _ inputs: ControlInputs
    ) -> Bool {
        _ = queue.take(tick)
        if let obstacle = obstacle(inputs, elapsed: elapsed) {
            if obstacle != reason { return hold(obstacle, activity, at: tick, elapsed, inputs) }
            return holding(reason, activity, at: tick, elapsed, inputs)
        }
        if reason.isEndedByChunk {
            if let fault = watch.ticked(command: gate.output, inputs, elapsed: elapsed) {
                fail(fault, at: tick, inputs)
                return ticked(tick, elapsed: elapsed, inputs)
            }
            let missing = missing(inputs)
            let now = reason == .staleAction && missing == .starved ? reason : missing
            return holding(now, activity, at: tick, elapsed, inputs)
        }
        // What forbade motion is gone: from the measured pose, once the arms stand.
        guard stream != .open || gate.braked(elapsed: elapsed) else {
            state = .holding(reason, activity)
            return true
        }
        guard anchored(at: tick, inputs) else { return ticked(tick, elapsed: elapsed, inputs) }
        switch activity {
        case .homing(let move): begin(move, at: tick, inputs)
        case .start: startOver(at: tick)
        case .episode:
            startOver(at: tick)
            state = .holding(missing(inputs), .episode)
        }
        return stream == .open
    }

    /// One tick of a hold.
    private mutating func holding(
        _ reason: HoldReason,
        _ activity: Activity,
        at tick: Int64,
        _ elapsed: Int,
        _ inputs: ControlInputs
    ) -> Bool {
        state = .holding(reason, activity)
        if let fault = clock.held(reason, ticks: elapsed) {
            fail(fault, at: tick, inputs)
            return ticked(tick, elapsed: elapsed, inputs)
        }
        var isStanding = true
        if reason.isEndedByChunk { gate.stood(elapsed: elapsed) } else { isStanding = gate.braked(elapsed: elapsed) }
        if isStanding, reason.isQuiet, stream == .open { stream = .quiet }
        guard case .episode = activity else { return stream == .open }
        count(reason == .clockJump ? 1 : elapsed)
        counters.starvedTicks += 1
        if reason == .blind { counters.staleStateTicks += 1 }
        if reason == .staleAction { counters.staleActionTicks += 1 }
        return stream == .open
    }

    // MARK: Counting

    private mutating func count(_ elapsed: Int) {
        if counters.ticks > 0 { counters.missedCycles += UInt64(max(0, elapsed - 1)) }
        counters.ticks += 1
    }

    private mutating func count(_ clamps: SafetyGate.Clamps) {
        if !clamps.subtracting(.positionNoise).isEmpty { counters.limitedTicks += 1 }
        if clamps.contains(.positionNoise) { counters.positionNoise += 1 }
        if clamps.contains(.position) { counters.positionLimited += 1 }
        if clamps.contains(.velocity) { counters.velocityLimited += 1 }
        if clamps.contains(.acceleration) { counters.accelerationLimited += 1 }
    }
}

extension SessionMachine.State {
    fileprivate var isOver: Bool {
        switch self {
        case .leaving, .ended: true
        default: false
        }
    }
}
