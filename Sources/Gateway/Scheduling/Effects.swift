import GrootCore

/// Everything that follows from one event; whoever told the scheduler carries all of it out.
struct Effects: Sendable, Equatable {
    /// For the request that asked; nil when none did, or when a hedge finds no worker.
    var decision: SchedulingDecision?
    /// For requests that waited.
    var assignments: [Assignment] = []
    /// Workers that get a rest for their failures, for log and metrics.
    var ejected: [WorkerID] = []
    /// Requests that wait now.
    var waiting = 0
    /// When to call `timePassed`; nil while nobody waits for a batch to end.
    var wakeAt: MonotonicInstant?
}
