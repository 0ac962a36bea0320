import GrootCore

/// What is remembered of each robot: for affinity, and for people who look at `/state`. Bounded. Pure.
struct RobotTable: Sendable {
    struct Robot: Sendable {
        var lastSeen: MonotonicInstant
        /// When the robot has no motion left, by its last request.
        var dryAt: MonotonicInstant?
        var observation: UInt64 = 0
        var lastWorker: WorkerID?
        /// Requests in the hands of workers that batch, and the call of the last one.
        var inFlight = 0
        var inFlightCall: UInt64 = 0
        var requests: UInt64 = 0
        var answered: UInt64 = 0
        var superseded: UInt64 = 0
        /// Requests that arrived with no motion left.
        var dry: UInt64 = 0
    }

    private(set) var robots: [String: Robot] = [:]
    private let limit: Int
    private var nextPurge = MonotonicInstant(nanoseconds: 0)

    init(limit: Int) {
        self.limit = limit
    }

    mutating func seen(_ request: SchedulerRequest, at now: MonotonicInstant) {
        guard !request.robot.isEmpty else { return }
        if robots[request.robot] == nil, robots.count >= limit {
            guard now >= nextPurge else { return }
            nextPurge = now + .seconds(1)
            robots = robots.filter { $0.value.inFlight > 0 || now - $0.value.lastSeen < .seconds(60) }
            guard robots.count < limit else { return }
        }
        update(&robots[request.robot, default: Robot(lastSeen: now)]) { robot in
            robot.lastSeen = now
            robot.dryAt = request.dryAt
            robot.observation = request.observation
            robot.requests += 1
            if let dryAt = request.dryAt, dryAt <= now { robot.dry += 1 }
        }
    }

    mutating func dispatched(_ request: SchedulerRequest, to worker: WorkerID, batches: Bool) {
        guard let index = robots.index(forKey: request.robot) else { return }
        robots.values[index].lastWorker = worker
        guard batches else { return }
        robots.values[index].inFlight += 1
        robots.values[index].inFlightCall = request.call
    }

    mutating func finished(_ name: String, answered: Bool, batches: Bool) {
        guard let index = robots.index(forKey: name) else { return }
        if answered { robots.values[index].answered += 1 }
        if batches { robots.values[index].inFlight = max(0, robots.values[index].inFlight - 1) }
    }

    /// A worker has another observation of this robot in hand: the newer one waits, where a still newer one can take
    /// its place, instead of filling batches with one robot's past. The same request once more, by its id, is a hedge; a
    /// third time it is not.
    func isServed(_ request: SchedulerRequest) -> Bool {
        guard let robot = robots[request.robot], robot.inFlight > 0 else { return false }
        return request.call == 0 || robot.inFlightCall != request.call || robot.inFlight > 1
    }

    mutating func superseded(_ name: String) {
        robots[name]?.superseded += 1
    }

    func lastWorker(of name: String) -> WorkerID? { robots[name]?.lastWorker }

    private func update(_ robot: inout Robot, _ change: (inout Robot) -> Void) { change(&robot) }
}
