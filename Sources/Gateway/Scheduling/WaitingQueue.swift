import GrootCore

/// The one queue of requests for which no worker has credit. Pure.
///
/// At most one request per robot and checkpoint waits: a newer observation takes the older one's place. Kept in order
/// of place, which is the order of first arrival; the discipline decides who goes first.
struct WaitingQueue: Sendable {
    enum Discipline: String, Sendable, CaseIterable {
        /// Newest wins and keeps the place. The runway orders only while everybody who waits can still be served in
        /// time by that order; as soon as not everybody can, the place orders, so that overload falls on all evenly.
        case inPlace = "in-place"
        /// Newest wins and goes to the tail. For comparison in the simulator only.
        case tail = "newest-to-tail"
        /// In place, and the robot that runs dry first goes first, always. For comparison in the simulator only.
        case earliestDry = "earliest-dry"
        /// Every request stands for itself, first come first served. For comparison in the simulator only.
        case fifo = "fifo"
    }

    /// How fast requests get served, as far as the order depends on it.
    struct Pace: Sendable {
        /// Requests per second that all workers finish together.
        var perSecond: Double
        /// Seconds that the quickest of them takes for one.
        var service: Double
    }

    let discipline: Discipline
    private(set) var entries: [SchedulerRequest] = []
    private var nextPlace: UInt64 = 0
    /// The last ordering found that somebody will run dry whatever is done.
    private(set) var isOverloaded = false

    init(discipline: Discipline) {
        self.discipline = discipline
    }

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    /// The request whose place a newer observation of this robot would take.
    func older(than request: SchedulerRequest) -> RequestID? {
        position(of: request).map { entries[$0].id }
    }

    /// A newer one of the same robot and checkpoint waits: an older one that is tried again has no place.
    func hasNewer(than request: SchedulerRequest) -> Bool {
        position(of: request).map { entries[$0].arrivedAt > request.arrivedAt } ?? false
    }

    /// Returns the request that lost its place, if any.
    mutating func insert(_ request: SchedulerRequest) -> RequestID? {
        var request = request
        if let position = position(of: request) {
            let old = entries[position].id
            if discipline == .tail {
                entries.remove(at: position)
            } else {
                request.place = entries[position].place
                entries[position] = request
                return old
            }
            append(&request)
            return old
        }
        if let place = request.place {
            // Tried again: back to where it was.
            let position = entries.firstIndex { ($0.place ?? 0) > place } ?? entries.endIndex
            entries.insert(request, at: position)
        } else {
            append(&request)
        }
        return nil
    }

    mutating func remove(_ id: RequestID) -> SchedulerRequest? {
        guard let position = entries.firstIndex(where: { $0.id == id }) else { return nil }
        defer { if entries.isEmpty { isOverloaded = false } }
        return entries.remove(at: position)
    }

    func contains(_ id: RequestID) -> Bool { entries.contains { $0.id == id } }

    /// Requests in the order in which they should go.
    mutating func ordered(_ pace: Pace, assumedRunway: Duration, at now: MonotonicInstant) -> [SchedulerRequest] {
        guard entries.count > 1 else {
            isOverloaded = entries.first?.dryAt.map { $0 < now } ?? false
            return entries
        }
        let dry = entries.map { $0.dryAt ?? $0.arrivedAt + assumedRunway }
        let byRunway = entries.indices.sorted { (dry[$0], $0) < (dry[$1], $1) }
        var isFeasible = true
        for (rank, index) in byRunway.enumerated() {
            let done = Double(rank + 1) / max(pace.perSecond, 1e-9) + pace.service
            if (dry[index] - now).seconds < done {
                isFeasible = false
                break
            }
        }
        isOverloaded = !isFeasible
        switch discipline {
        case .fifo, .tail: return entries
        case .earliestDry: return byRunway.map { entries[$0] }
        case .inPlace: return isFeasible ? byRunway.map { entries[$0] } : entries
        }
    }

    private mutating func append(_ request: inout SchedulerRequest) {
        request.place = nextPlace
        nextPlace += 1
        entries.append(request)
    }

    private func position(of request: SchedulerRequest) -> Int? {
        guard !request.robot.isEmpty, request.isWork, discipline != .fifo else { return nil }
        return entries.firstIndex {
            $0.robot == request.robot && $0.checkpoint == request.checkpoint && $0.id != request.id
        }
    }
}
