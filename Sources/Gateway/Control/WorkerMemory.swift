import GrootStore

/// What workers said about themselves and the database does not have yet.
///
/// Pure. Owned by `FleetControlPlane`, behind its lock. A worker that says something new before the old was saved keeps
/// both: every checkpoint that was served reaches the database, however late it starts.
struct WorkerMemory {
    /// Workers that are remembered; one more takes the place of the one that has waited longest.
    static let limit = 4096
    /// Checkpoints of one worker that are remembered, the newest.
    static let checkpointLimit = 256

    private var waiting: [String: WorkerRecord] = [:]
    /// In the order of their first word.
    private var order: [String] = []

    var count: Int { order.count }
    var next: WorkerRecord? { order.first.flatMap { waiting[$0] } }

    mutating func described(_ worker: WorkerRecord) {
        guard let earlier = waiting[worker.worker] else {
            if order.count >= Self.limit { waiting[order.removeFirst()] = nil }
            order.append(worker.worker)
            waiting[worker.worker] = worker
            return
        }
        var merged = worker
        let said = Set(worker.checkpoints.map(\.sha256))
        merged.checkpoints = earlier.checkpoints.filter { !said.contains($0.sha256) } + worker.checkpoints
        merged.checkpoints = merged.checkpoints.suffix(Self.checkpointLimit)
        waiting[worker.worker] = merged
    }

    /// The database has it, or never will; what was said since then waits on.
    mutating func settled(_ worker: WorkerRecord) {
        guard let current = waiting[worker.worker] else { return }
        order.removeAll { $0 == worker.worker }
        guard current == worker else {
            order.append(worker.worker)
            return
        }
        waiting[worker.worker] = nil
    }
}
