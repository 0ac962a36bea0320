import GrootCore
import Synchronization

/// One worker as all event loops share it: identity, instruments, what is known of it. Any thread.
final class WorkerMember: Sendable {
    /// Where its membership comes from.
    enum Source: String, Sendable {
        case flag
        case dns
        case file
        case registered
    }

    /// What is known of it, as the first event loop sees it.
    struct Status: Sendable, Equatable {
        var address: Endpoint
        var name: String
        var isUp = false
        /// An operator asked for nothing new.
        var isDraining = false
        var reason = "not reached yet"
        /// Nil until it has described itself.
        var checkpoints: [String]?
    }

    let id: WorkerID
    let endpoint: Endpoint
    let source: Source
    /// The name that its certificate must carry; nil for the endpoint's own host.
    let verifiedAs: String?
    let metrics: GatewayMetrics.Worker
    private let state: Mutex<Status>
    private let lastReport = Mutex<WorkerReport?>(nil)

    init(
        id: WorkerID,
        endpoint: Endpoint,
        source: Source,
        verifiedAs: String?,
        metrics: GatewayMetrics.Worker
    ) {
        self.verifiedAs = verifiedAs
        self.id = id
        self.endpoint = endpoint
        self.source = source
        self.metrics = metrics
        state = Mutex(Status(address: endpoint, name: "\(endpoint)"))
    }

    var status: Status { state.withLock { $0 } }

    /// It is known by this name from now on: on pages, in metrics, in the database.
    func named(_ name: String) {
        let old = state.withLock { status in
            defer { status.name = name }
            return status.name
        }
        if old != name || metrics.name.isEmpty { metrics.named(name) }
    }

    /// Takes note of what it says of itself; false when that is nothing new.
    func described(_ report: WorkerReport, always: Bool) -> Bool {
        named(report.name)
        update { $0.checkpoints = report.checkpoints }
        return lastReport.withLock { last in
            guard always || last != report else { return false }
            last = report
            return true
        }
    }

    func update(_ change: (inout Status) -> Void) {
        state.withLock { change(&$0) }
    }
}
