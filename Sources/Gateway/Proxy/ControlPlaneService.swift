import GrootAPI
import GrootCore

/// What the data plane needs from the control plane: an upstream to send `Fleet` and `Health` calls to, and someone
/// who remembers the workers.
///
/// Calls `endpoint` once before it starts to listen, and `workerDescribed` on every (re)connect to a worker and whenever
/// what a worker serves changes. The data plane works without a ready control plane: inference never waits for the database.
protocol ControlPlaneService: Sendable {
    /// Where the control plane's gRPC server listens (loopback port or unix socket). Returns once it is bound.
    var endpoint: Endpoint { get async throws }

    /// Serves until the task is cancelled; throws when it cannot go on.
    func run() async throws

    /// Takes note of what a worker serves, and keeps it until it is stored. Called on an event loop; must not block.
    func workerDescribed(_ report: WorkerReport)

    /// Nil when what is reported is also kept, else what is missing; requests do not depend on it. Any thread; must not block.
    var notReadyReason: String? { get }
}

/// What a worker said about itself when the gateway (re)connected to it.
struct WorkerReport: Sendable, Equatable {
    /// Its certificate's; without one, as the worker calls itself.
    var name: String
    /// As the user wrote it in `--workers`, normalised.
    var address: Endpoint
    /// Every checkpoint that it serves.
    var policies: [Groot_V1_Policy]

    /// Checkpoint names, in the worker's order.
    var checkpoints: [String] { policies.map(\.checkpoint) }
}
