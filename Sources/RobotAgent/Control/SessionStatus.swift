import GrootCore

/// A snapshot of the session machine, stored at every tick: all that the rest of the process knows of it.
package struct SessionStatus: Sendable {
    /// How an episode left the machine before the run ended it.
    package enum EpisodeEnd: Equatable, Sendable {
        case ordered(Order)
        case failed
    }

    package var phase: SessionPhase
    package var tick: Int64
    package var runwayTicks: Int64
    package var runway: Duration
    package var counters: EpisodeCounters
    /// Last `home` request that arrived.
    package var completedMove: UInt64
    /// Why the arms are held; nil outside of `holding`.
    package var hold: HoldReason?
    /// Why the session ended for good.
    package var fault: Fault?
    /// Set while an episode that ended by itself waits for the run to notice.
    package var episodeEnd: EpisodeEnd?
    /// The order that made the run end; nil while it goes on.
    package var leaveOrder: Order?
    package var isInEpisode: Bool
    /// A chunk would be executed.
    package var wantsChunks: Bool
    /// Times that standing arms were found elsewhere and are held there since.
    package var yields: UInt64
}
