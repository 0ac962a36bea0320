import GrootCore

/// The control loop without its clock, its thread and its publishers: plan, gate, homing and counters.
///
/// Pure; owned by the control thread, called once per tick. Allocates nothing per tick.
package struct ControlCore: Sendable {
    /// What an operator asked for on top of the plan.
    package struct Options: Sendable {
        /// Dimensions that stay where they were at the start of the episode.
        package var frozen: Set<Int> = []
        package var latch: ClawLatch.Configuration?

        package init() {}
    }

    private enum Mode: Sendable {
        case silent
        case moving(MotionPlan, index: Int, id: UInt64)
        case holding
        case waiting
        case following
        case paused
        case stopping
    }

    /// The command to publish this tick: arms rad, claws 0 to 100.
    package private(set) var command: [Float]
    package private(set) var queue: ActionQueue
    /// Counts changes of the plan, so that the owner knows when to copy it.
    package private(set) var planVersion: UInt64 = 0
    package let arms: Range<Int>
    private let claws: Range<Int>
    private let isFrozen: [Bool]
    private var latch: ClawLatch?
    private var mode = Mode.silent
    private var gate: SafetyGate
    private var counters = EpisodeCounters()
    private var completedMove: UInt64 = 0
    private var abandonedMove: UInt64 = 0
    private var hasCommand = false
    /// Whether the plan's ticks are tied to an observation (not in sync mode).
    private var isPlanAged = false
    /// When the observation was captured that the plan rests on; in sync mode, too.
    private var observedTick: Int64?
    private var base: [Float]
    private var target: [Float]

    package init(
        queue: ActionQueue.Configuration,
        limits: SafetyGate.Limits,
        options: Options = Options()
    ) {
        let zero = [Float](repeating: 0, count: queue.dimensions)
        self.arms = limits.arms
        self.claws = queue.claws
        self.command = zero
        self.base = zero
        self.target = zero
        self.isFrozen = zero.indices.map(options.frozen.contains)
        self.latch = options.latch.map { ClawLatch($0, claws: queue.claws.count) }
        self.queue = ActionQueue(configuration: queue, startingAt: 0, pose: zero)
        self.gate = SafetyGate(limits: limits)
    }

    package mutating func received(_ request: ControlCommand, at tick: Int64) -> MergeReport? {
        switch request {
        case .move(let id, let goal, let velocity, let measured):
            let plan = MotionPlan(
                from: hasCommand ? command : measured,
                to: goal,
                arms: arms,
                maximumVelocity: velocity
            )
            latch?.reset()
            mode = .moving(plan, index: 0, id: id)
        case .beginEpisode(let measured, let tuning):
            queue.tune(aggregate: tuning.aggregate, blendTicks: tuning.blendTicks)
            gate.velocityCap = tuning.maximumVelocity ?? .infinity
            if !hasCommand { Self.copy(measured, into: &command) }
            counters = EpisodeCounters()
            latch?.reset()
            startOver(at: tick)
            Self.copy(command, into: &base)
        case .merge(let arrival):
            return merge(arrival, at: tick)
        case .pause:
            if case .following = mode {
                gate.pauseRequested()
                mode = .paused
            } else if case .waiting = mode {
                gate.pauseRequested()
                mode = .paused
            }
        case .resume:
            if case .paused = mode { startOver(at: tick) }
        case .endEpisode:
            switch mode {
            case .following, .waiting, .paused:
                gate.finished()
                mode = hasCommand ? .holding : .silent
            default: break
            }
        case .stop:
            switch mode {
            case .following, .paused:
                gate.stopRequested()
                mode = .stopping
            case .stopping: break
            default: mode = .silent
            }
        }
        return nil
    }

    /// Runs one tick; true when `command` is to be published.
    package mutating func ticked(
        _ tick: Int64,
        elapsed: Int,
        stateAge: Duration?,
        isLinkLost: Bool = false
    ) -> Bool {
        switch mode {
        case .silent:
            hasCommand = false
            return false
        case .moving(let plan, let index, let id):
            // Homing is blind without joint state: stand where the move has come to.
            guard let stateAge, stateAge <= gate.limits.staleState else {
                abandonedMove = id
                mode = hasCommand ? .holding : .silent
                return hasCommand
            }
            let next = index + elapsed
            plan.sample(next, into: &command)
            if next >= plan.ticks {
                completedMove = id
                mode = .holding
            } else {
                mode = .moving(plan, index: next, id: id)
            }
            hasCommand = true
            return true
        case .holding, .waiting:
            return hasCommand
        case .following, .stopping, .paused:
            return follow(tick, elapsed: elapsed, stateAge: stateAge, isLinkLost: isLinkLost)
        }
    }

    package func status(at tick: Int64) -> ControlStatus {
        let phase: ControlStatus.Phase =
            switch mode {
            case .silent: gate.fault == nil ? .silent : .stopped
            case .moving: .moving
            case .holding: .holding
            case .waiting: .waitingForFirstChunk
            case .following: .following
            case .paused: .paused
            case .stopping: .stopping
            }
        return ControlStatus(
            phase: phase,
            tick: tick,
            runwayTicks: queue.runwayTicks,
            counters: counters,
            completedMove: completedMove,
            abandonedMove: abandonedMove,
            fault: gate.fault
        )
    }

    private mutating func startOver(at tick: Int64) {
        queue.reset(at: tick, pose: command)
        observedTick = nil
        planVersion += 1
        gate.started(at: command)
        mode = .waiting
    }

    private mutating func follow(_ tick: Int64, elapsed: Int, stateAge: Duration?, isLinkLost: Bool) -> Bool {
        let hasAction = queue.take(tick)
        let age = isPlanAged ? queue.planAge(at: tick) : nil
        let input = SafetyGate.Input(
            elapsedTicks: elapsed,
            stateAge: stateAge,
            actionAge: age.map { .milliseconds(10) * Int($0) },
            isLinkLost: isLinkLost
        )
        if hasAction { prepareTarget() }
        let verdict = gate.ticked(planned: hasAction ? target : nil, input)
        if case .hold(.paused) = verdict {
            Self.copy(gate.output, into: &command)
            return true
        }
        if counters.ticks > 0 { counters.missedCycles += UInt64(elapsed - 1) }
        switch verdict {
        case .follow(let clamps):
            count(clamps)
            if let observedTick {
                counters.agedTicks += 1
                counters.ageSum += UInt64(max(0, tick - observedTick))
            }
        case .hold(let reason): count(reason, at: tick)
        case .stopping: mode = .stopping
        case .silent:
            mode = .silent
            return false
        }
        counters.ticks += 1
        Self.copy(gate.output, into: &command)
        hasCommand = true
        return true
    }

    /// The plan's target with what the operator wants held.
    private mutating func prepareTarget() {
        for index in target.indices { target[index] = isFrozen[index] ? base[index] : queue.command[index] }
        guard latch != nil else { return }
        for index in claws where !isFrozen[index] {
            target[index] = latch?.commanded(target[index], claw: index - claws.lowerBound) ?? target[index]
        }
    }

    private mutating func count(_ clamps: SafetyGate.Clamps) {
        if !clamps.subtracting(.positionNoise).isEmpty { counters.limitedTicks += 1 }
        if clamps.contains(.positionNoise) { counters.positionNoise += 1 }
        if clamps.contains(.position) { counters.positionLimited += 1 }
        if clamps.contains(.velocity) { counters.velocityLimited += 1 }
        if clamps.contains(.acceleration) { counters.accelerationLimited += 1 }
    }

    private mutating func count(_ reason: SafetyGate.Hold, at tick: Int64) {
        counters.starvedTicks += 1
        switch reason {
        case .staleState: counters.staleStateTicks += 1
        case .staleAction: counters.staleActionTicks += 1
        case .clockJump:
            counters.clockJumps += 1
            // What was planned belongs to the time before the jump.
            queue.reset(at: tick + 1, pose: gate.output)
            planVersion += 1
        case .nothingPlanned, .paused: break
        }
    }

    private mutating func merge(_ arrival: ChunkArrival, at tick: Int64) -> MergeReport {
        let runway = Duration.milliseconds(10) * Int(queue.runwayTicks)
        var report = MergeReport(id: arrival.id, result: nil, runwayAtArrival: runway)
        let isFirst: Bool
        switch mode {
        case .waiting: isFirst = true
        case .following: isFirst = false
        default: return report
        }
        if isFirst {
            // Waiting took ticks; the plan starts here.
            queue.reset(at: tick, pose: command)
            let chunk = arrival.chunk
            let fault = gate.firstActionArrived(
                { chunk.rows > 0 && $0 < chunk.dimensions ? chunk[0, $0] : .nan },
                measured: arrival.measured,
                checking: { !isFrozen[$0] }
            )
            guard fault == nil else {
                mode = .silent
                return report
            }
        }
        let before = isFirst ? 0 : queue.velocityChange(at: queue.nextTick, arms: arms)
        // A robot that stood still since before the capture is still where it was observed: its chunk begins now.
        // Taking rows off for the time that passed would make it leap over motion it never made.
        let hasStood = isFirst || arrival.capturedTick.map { queue.endTick <= $0 } ?? false
        let result = queue.merge(
            arrival.chunk,
            capturedAt: hasStood ? tick - 1 : arrival.capturedTick ?? tick - 1,
            observedAt: arrival.capturedTick
        )
        report.result = result
        planVersion += 1
        if case .applied = result {
            isPlanAged = arrival.capturedTick != nil
            observedTick = arrival.observedTick
            counters.chunks += 1
            if !isFirst { report.borderStep = max(0, queue.velocityChange(at: queue.nextTick, arms: arms) - before) }
            mode = .following
        }
        return report
    }

    /// Static, because a method would hold a second reference to every array of `self` and force a copy.
    private static func copy(_ values: [Float], into destination: inout [Float]) {
        for index in destination.indices { destination[index] = values[index] }
    }
}
