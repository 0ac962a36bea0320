package import GrootCore

/// What the other threads may ask of the control thread.
package enum ControlCommand: Sendable {
    /// Move to `goal` and stay there, streaming; starts from the last command or, when silent, from `measured`.
    case move(id: UInt64, goal: [Float], velocity: Float, measured: [Float])
    /// Follow chunks from now on. Until the first one arrives the last command is held.
    case beginEpisode(measured: [Float], tuning: EpisodeTuning = EpisodeTuning())
    case merge(ChunkArrival)
    /// Come to rest and forget the plan, but keep streaming.
    case pause
    /// Wait for a new first chunk where the robot stands.
    case resume
    /// The episode is over: forget the plan, hold the last command.
    case endEpisode
    /// Bring the robot to rest, then publish nothing any more.
    case stop
}

/// What may differ from episode to episode.
package struct EpisodeTuning: Sendable, Equatable {
    package var aggregate = AggregateFunction.weightedAverage
    /// Ticks over which a new chunk takes over.
    package var blendTicks = 20
    /// rad/s on top of the profile's limits; nil for those alone.
    package var maximumVelocity: Float?

    package init() {}
}

/// A chunk on its way into the plan.
package struct ChunkArrival: Sendable {
    package var id: UInt64
    package var chunk: ActionChunk
    /// Tick of the observation's capture, one row before row 0; nil anchors the chunk at its arrival (sync mode).
    package var capturedTick: Int64?
    /// Tick of the observation's capture, for the age of what is executed; differs from `capturedTick` in sync mode.
    package var observedTick: Int64?
    /// Pose at the observation, rad and claws.
    package var measured: [Float]

    package init(
        id: UInt64,
        chunk: ActionChunk,
        capturedTick: Int64?,
        observedTick: Int64? = nil,
        measured: [Float]
    ) {
        self.id = id
        self.chunk = chunk
        self.capturedTick = capturedTick
        self.observedTick = observedTick ?? capturedTick
        self.measured = measured
    }
}

/// What became of a chunk.
package struct MergeReport: Sendable, Equatable {
    package var id: UInt64
    /// Nil when no episode was running any more or the gate refused it.
    package var result: ActionQueue.MergeResult?
    package var runwayAtArrival: Duration
    /// Change of velocity at the merge, the largest over the arm joints, rad/s: the jerk that a viewer sees.
    package var borderStep: Float = 0
}

/// Counts of one episode, from its first executed action on.
package struct EpisodeCounters: Sendable, Equatable {
    /// Cycles in which a command was published.
    package var ticks: UInt64 = 0
    /// Of those, cycles without an action to execute.
    package var starvedTicks: UInt64 = 0
    /// Of those, cycles in which the gate changed the action, by more than the policy's ordinary noise.
    package var limitedTicks: UInt64 = 0
    /// Control cycles that never ran because the one before was late.
    package var missedCycles: UInt64 = 0
    /// Chunks merged into the plan.
    package var chunks: UInt64 = 0
    /// Cycles in which each limit changed the action.
    package var positionLimited: UInt64 = 0
    package var velocityLimited: UInt64 = 0
    package var accelerationLimited: UInt64 = 0
    /// Cycles in which a target within the policy's ordinary noise beyond a position limit was clamped.
    package var positionNoise: UInt64 = 0
    /// Cycles held because the joint state or the action was too old.
    package var staleStateTicks: UInt64 = 0
    package var staleActionTicks: UInt64 = 0
    /// Times that cycles were missed in one go and the plan was dropped.
    package var clockJumps: UInt64 = 0
    /// Executed ticks with a known observation, and the sum of its ages in ticks.
    package var agedTicks: UInt64 = 0
    package var ageSum: UInt64 = 0

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
        case paused
        case stopping
        case stopped
    }

    package var phase: Phase
    package var tick: Int64
    package var runwayTicks: Int64
    package var counters: EpisodeCounters
    /// Last `move` that ended.
    package var completedMove: UInt64
    /// Last `move` that was given up because the joint state fell silent.
    package var abandonedMove: UInt64
    package var fault: SafetyGate.Fault?

    package var runway: Duration { .milliseconds(10) * Int(runwayTicks) }
}
