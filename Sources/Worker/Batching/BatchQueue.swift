package import GrootCore

/// Which waiting requests run together next. Pure; the caller passes the time and carries out the actions.
///
/// One queue per checkpoint, since only requests of one checkpoint share an inference. At most one request
/// per robot waits: a newer one takes the older one's place in the queue. One batch runs at a time.
package struct BatchQueue<ID: Hashable & Sendable>: Sendable {
    package struct Configuration: Sendable {
        /// Requests that may wait, by default 64 (`--max-waiting`).
        package var maxWaiting: Int
        /// Requests that may share an inference, by default 8 (`--max-batch`).
        package var maxBatch: Int

        package init(maxWaiting: Int = 64, maxBatch: Int = 8) {
            precondition(maxWaiting > 0 && maxBatch > 0, "limits must be positive")
            self.maxWaiting = maxWaiting
            self.maxBatch = maxBatch
        }
    }

    package struct Entry: Hashable, Sendable {
        package var id: ID
        package var robot: String
        package var observation: UInt64
        /// Nil waits for ever.
        package var deadline: MonotonicInstant?

        package init(id: ID, robot: String, observation: UInt64, deadline: MonotonicInstant? = nil) {
            self.id = id
            self.robot = robot
            self.observation = observation
            self.deadline = deadline
        }
    }

    package enum Action: Hashable, Sendable {
        /// Run these together, in this order; ends with `batchFinished`.
        case run([ID])
        /// End the call: a newer observation of the robot took its place.
        case supersede(ID, by: UInt64)
        /// End the call: too many wait.
        case refuse(ID)
        /// End the call: its deadline passed while it waited.
        case expire(ID)
    }

    private let configuration: Configuration
    private var waiting: [Entry] = []
    private var running = false

    package init(configuration: Configuration) {
        self.configuration = configuration
    }

    package var waitingCount: Int { waiting.count }
    package var isRunning: Bool { running }
    package var isIdle: Bool { waiting.isEmpty && !running }

    package mutating func requestArrived(_ entry: Entry, at now: MonotonicInstant) -> [Action] {
        if isExpired(entry, at: now) { return [.expire(entry.id)] }
        // A request without a robot's name stands for itself.
        if !entry.robot.isEmpty, let place = waiting.firstIndex(where: { $0.robot == entry.robot }) {
            let older = waiting[place]
            waiting[place] = entry
            return [.supersede(older.id, by: entry.observation)] + dispatch(at: now)
        }
        guard waiting.count < configuration.maxWaiting else { return [.refuse(entry.id)] }
        waiting.append(entry)
        return dispatch(at: now)
    }

    /// The caller went away. A request that already runs is not affected.
    package mutating func requestCancelled(_ id: ID) {
        waiting.removeAll { $0.id == id }
    }

    package mutating func batchFinished(at now: MonotonicInstant) -> [Action] {
        running = false
        return dispatch(at: now)
    }

    private mutating func dispatch(at now: MonotonicInstant) -> [Action] {
        guard !running else { return [] }
        var actions: [Action] = []
        var batch: [ID] = []
        var taken = 0
        for entry in waiting {
            if batch.count == configuration.maxBatch { break }
            taken += 1
            if isExpired(entry, at: now) {
                actions.append(.expire(entry.id))
            } else {
                batch.append(entry.id)
            }
        }
        waiting.removeFirst(taken)
        if !batch.isEmpty {
            running = true
            actions.append(.run(batch))
        }
        return actions
    }

    private func isExpired(_ entry: Entry, at now: MonotonicInstant) -> Bool {
        entry.deadline.map { $0 <= now } ?? false
    }
}
