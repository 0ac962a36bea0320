package import GrootCore

/// What the run asks of the session machine: the steps of its episodes. People and signals order instead (`Order`).
///
/// A request that the phase has no place for is ignored: whoever asked sees the phase in the status.
package enum ControlRequest: Sendable {
    /// Drive home from a standing or silent phase.
    case home(id: UInt64, opensClaws: Bool)
    /// Follow chunks from now on. Until the first one arrives the arms stand.
    case beginEpisode(EpisodeTuning = EpisodeTuning())
    case merge(ChunkArrival)
    /// Stand until `approved`: a person looks at the next chunk first.
    case askedApproval
    case approved
    /// The episode is over: come to rest, stand.
    case endEpisode
    /// Command nothing until the next motion: somebody else puts the arms back.
    case release
    /// Come to rest, then command nothing any more: the run is over.
    case leave
    /// The arms are handed back, or nobody could be told.
    case handedBack
}

/// What may differ from episode to episode.
package struct EpisodeTuning: Sendable, Equatable {
    /// Long enough that the gate has little to do within 30 rad/s² (docs/tuning.md).
    package static let defaultBlend = Duration.milliseconds(300)

    package var aggregate = AggregateFunction.weightedAverage
    /// Time over which a new chunk takes over.
    package var blend = defaultBlend
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

    package init(id: UInt64, chunk: ActionChunk, capturedTick: Int64?, observedTick: Int64? = nil) {
        self.id = id
        self.chunk = chunk
        self.capturedTick = capturedTick
        self.observedTick = observedTick ?? capturedTick
    }
}

/// What became of a chunk.
package struct MergeReport: Sendable, Equatable {
    package enum Refusal: String, Sendable {
        /// No episode wants a chunk now.
        case noEpisode = "the arms do not wait for a chunk"
        /// It was observed before the arms came to rest, and leads away from where they stand.
        case observedBefore = "it was observed before the arms came to rest"
        /// The first-action check refused it.
        case unfit = "its first action was refused"
    }

    package var id: UInt64
    /// Nil when it was refused.
    package var result: ActionQueue.MergeResult?
    package var refusal: Refusal?
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
