package import GrootCore

/// What the other threads may ask of the control thread.
package enum ControlCommand: Sendable {
    /// Move to `goal` and stay there, streaming; starts from the last command or, when silent, from `measured`.
    case move(id: UInt64, goal: [Float], velocity: Float, measured: [Float])
    /// Follow chunks from now on. Until the first one arrives the last command is held.
    case beginEpisode(measured: [Float])
    case merge(ChunkArrival)
    /// The episode is over: forget the plan, hold the last command.
    case endEpisode
    /// Bring the robot to rest, then publish nothing any more.
    case stop
}

/// A chunk on its way into the plan.
package struct ChunkArrival: Sendable {
    package var id: UInt64
    package var chunk: ActionChunk
    /// Tick of the observation's capture; nil anchors the chunk at its arrival (sync mode).
    package var capturedTick: Int64?
    /// Pose at the observation, rad and claws.
    package var measured: [Float]

    package init(id: UInt64, chunk: ActionChunk, capturedTick: Int64?, measured: [Float]) {
        self.id = id
        self.chunk = chunk
        self.capturedTick = capturedTick
        self.measured = measured
    }
}

/// What became of a chunk.
package struct MergeReport: Sendable, Equatable {
    package var id: UInt64
    /// Nil when no episode was running any more or the gate refused it.
    package var result: ActionQueue.MergeResult?
    package var runwayAtArrival: Duration
}

/// Counts of one episode, from its first executed action on.
package struct EpisodeCounters: Sendable, Equatable {
    /// Cycles in which a command was published.
    package var ticks: UInt64 = 0
    /// Of those, cycles without an action to execute.
    package var starvedTicks: UInt64 = 0
    /// Of those, cycles in which the gate changed the action.
    package var limitedTicks: UInt64 = 0
    /// Control cycles that never ran because the one before was late.
    package var missedCycles: UInt64 = 0
    /// Chunks merged into the plan.
    package var chunks: UInt64 = 0

    package init() {}
}

/// A snapshot of the control thread, stored every tick.
package struct ControlStatus: Sendable {
    package enum Phase: Sendable, Equatable {
        case silent
        case moving
        case holding
        case waitingForFirstChunk
        case following
        case stopping
        case stopped
    }

    package var phase: Phase
    package var tick: Int64
    package var runwayTicks: Int64
    package var counters: EpisodeCounters
    /// Last `move` that ended.
    package var completedMove: UInt64
    package var fault: SafetyGate.Fault?

    package var runway: Duration { .milliseconds(10) * Int(runwayTicks) }
}

/// The control loop without its clock, its thread and its publishers: plan, gate, homing and counters.
///
/// Pure; owned by the control thread, called once per tick.
package struct ControlCore: Sendable {
    private enum Mode: Sendable {
        case silent
        case moving(MotionPlan, index: Int, id: UInt64)
        case holding
        case waiting
        case following
        case stopping
    }

    /// The command to publish this tick: arms rad, claws 0 to 100.
    package private(set) var command: [Float]
    private let arms: Range<Int>
    private var mode = Mode.silent
    private var queue: ActionQueue
    private var gate: SafetyGate
    private var counters = EpisodeCounters()
    private var completedMove: UInt64 = 0
    private var hasCommand = false

    package init(queue: ActionQueue.Configuration, limits: SafetyGate.Limits) {
        let zero = [Float](repeating: 0, count: queue.dimensions)
        self.arms = limits.arms
        self.command = zero
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
            mode = .moving(plan, index: 0, id: id)
        case .beginEpisode(let measured):
            if !hasCommand { command = measured }
            counters = EpisodeCounters()
            queue.reset(at: tick, pose: command)
            gate.started(at: command)
            mode = .waiting
        case .merge(let arrival):
            return merge(arrival, at: tick)
        case .endEpisode:
            switch mode {
            case .following, .waiting:
                gate.finished()
                mode = hasCommand ? .holding : .silent
            default: break
            }
        case .stop:
            if case .following = mode {
                gate.stopRequested()
                mode = .stopping
            } else {
                mode = .silent
            }
        }
        return nil
    }

    /// Runs one tick; true when `command` is to be published.
    package mutating func ticked(_ tick: Int64, elapsed: Int, stateAge: Duration?) -> Bool {
        switch mode {
        case .silent:
            hasCommand = false
            return false
        case .moving(let plan, let index, let id):
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
        case .following, .stopping:
            return follow(tick, elapsed: elapsed, stateAge: stateAge)
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
            case .stopping: .stopping
            }
        return ControlStatus(
            phase: phase,
            tick: tick,
            runwayTicks: queue.runwayTicks,
            counters: counters,
            completedMove: completedMove,
            fault: gate.fault
        )
    }

    private mutating func follow(_ tick: Int64, elapsed: Int, stateAge: Duration?) -> Bool {
        let hasAction = queue.take(tick)
        if counters.ticks > 0 { counters.missedCycles += UInt64(elapsed - 1) }
        let verdict = gate.ticked(target: hasAction ? queue.command : nil, elapsedTicks: elapsed, stateAge: stateAge)
        switch verdict {
        case .publish(let limited, let held):
            if limited { counters.limitedTicks += 1 }
            if held { counters.starvedTicks += 1 }
        case .stopping:
            mode = .stopping
        case .silent:
            mode = .silent
            return false
        }
        counters.ticks += 1
        for index in command.indices { command[index] = gate.output[index] }
        hasCommand = true
        return true
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
            let row = (0..<arrival.chunk.dimensions).map { arrival.chunk.rows > 0 ? arrival.chunk[0, $0] : .nan }
            guard gate.firstActionArrived(row, measured: arrival.measured) == nil else {
                mode = .silent
                return report
            }
        }
        let result = queue.merge(arrival.chunk, capturedAt: arrival.capturedTick ?? tick - 1)
        report.result = result
        if case .applied = result {
            counters.chunks += 1
            mode = .following
        }
        return report
    }
}
