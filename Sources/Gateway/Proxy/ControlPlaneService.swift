import GrootAPI
import GrootCore

/// What the data plane needs from the control plane: an upstream to send `Fleet` and `Health` calls to, and someone
/// who remembers the workers.
///
/// Calls `endpoint` once before it starts to listen, and `workerDescribed` on every (re)connect to a worker, whenever what
/// a worker serves changes, and again until it is told that this is stored. The data plane works without a ready control
/// plane: inference never waits for the database.
protocol ControlPlaneService: Sendable {
    /// Where the control plane's gRPC server listens (loopback port or unix socket). Returns once it is bound.
    var endpoint: Endpoint { get async throws }

    /// Serves until the task is cancelled; throws when it cannot go on.
    func run() async throws

    /// Takes note of what a worker serves; false when it could not, and is to be told again. Called off the event loop;
    /// never blocks a request.
    func workerDescribed(_ report: WorkerReport) async -> Bool

    /// Nil when what is reported is also kept, else what is missing; requests do not depend on it. Any thread; must not block.
    var notReadyReason: String? { get }
}

/// What a worker said about itself when the gateway (re)connected to it.
struct WorkerReport: Sendable, Equatable {
    /// As the worker calls itself.
    var name: String
    /// As the user wrote it in `--workers`, normalised.
    var address: Endpoint
    /// Every checkpoint that it serves.
    var policies: [Groot_V1_Policy]

    /// Checkpoint names, in the worker's order.
    var checkpoints: [String] { policies.map(\.checkpoint) }
}
