/// Request and response metadata that the gateway reads or writes; bodies it never decodes.
package enum MetadataKey {
    /// Robot that speaks.
    package static let robot = "groot-robot"
    /// Who the gateway verified the caller to be, `robot/r1`: set by the gateway only, absent without mTLS.
    package static let peer = "groot-peer"
    /// Checkpoint selector; absent means any worker that serves exactly one.
    package static let checkpoint = "groot-checkpoint"
    /// Kind of robot, for metrics: a closed set, such as the profile's name. Absent means "default".
    package static let robotClass = "groot-robot-class"
    /// Milliseconds until the robot has no motion left, at the moment of sending.
    package static let runway = "groot-runway-ms"
    /// Whole milliseconds between two rows of a chunk as the robot executes them; the worker reports a checkpoint
    /// that was made for another rate.
    package static let actionPeriod = "groot-action-period-ms"
    /// Counts observations of one episode.
    package static let observation = "groot-observation"
    /// One id from robot to database.
    package static let requestID = "groot-request-id"
    /// Set by the gateway on responses: the worker that answered.
    package static let worker = "groot-worker"
    /// Set by the gateway on responses: attempts it made.
    package static let attempts = "groot-attempts"
    /// On responses: milliseconds after which a newer observation is welcome; sent under overload.
    package static let nextObservationAfter = "groot-next-observation-after-ms"
    /// On responses with RESOURCE_EXHAUSTED: gRPC's name for when to ask again.
    package static let pushback = "grpc-retry-pushback-ms"
    /// Trailer of workers, ORCA's text form: `TEXT named_metrics.queue=2,named_metrics.running=4,...`. The names are
    /// in docs/wire-protocol.md.
    package static let load = "endpoint-load-metrics"
    /// Set by workers on answers of `Infer` and of the health check, as header or trailer: a decimal number that changes
    /// whenever the set of checkpoints that the worker describes does. Absent from workers that cannot say.
    package static let generation = "groot-generation"
    package static let traceparent = "traceparent"
}
