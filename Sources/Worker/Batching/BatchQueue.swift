package import GrootCore

/// Which waiting requests run together next, and when. Pure; the caller passes the time and carries out the actions.
///
/// One queue per checkpoint, since only requests of one checkpoint share an inference (all of them have one shape:
/// images are brought to the policy's size before they get here). At most one request per robot waits: a newer one
/// takes the older one's place. One batch runs at a time. A free runtime starts at once with whoever waits, unless
/// told to gather; it never gathers past the instant at which a robot would run dry for it.
package struct BatchQueue<ID: Hashable & Sendable>: Sendable {
    package struct Configuration: Sendable {
        /// Requests that may wait, by default 64 (`--max-waiting`).
        package var maxWaiting: Int
        /// Requests that may share an inference, by default 8 (`--max-batch`).
        package var maxBatch: Int
        /// Least time between the starts of two inferences for one robot, by default none (`--inference-latency`).
        package var pacing: Duration
        /// How long a free runtime may wait for a fuller batch, by default not at all (`--gather`).
        package var gather: Duration

        package init(
            maxWaiting: Int = 64,
            maxBatch: Int = 8,
            pacing: Duration = .zero,
            gather: Duration = .zero
        ) {
            precondition(maxWaiting > 0 && maxBatch > 0, "limits must be positive")
            self.maxWaiting = maxWaiting
            self.maxBatch = maxBatch
            self.pacing = pacing
            self.gather = gather
        }
    }

    package struct Entry: Hashable, Sendable {
        package var id: ID
        package var robot: String
        package var observation: UInt64
        /// Nil waits for ever.
        package var deadline: MonotonicInstant?
        /// When the robot has no motion left; nil when it did not say.
        package var runsDryAt: MonotonicInstant?

        package init(
            id: ID,
            robot: String,
            observation: UInt64,
            deadline: MonotonicInstant? = nil,
            runsDryAt: MonotonicInstant? = nil
        ) {
            self.id = id
            self.robot = robot
            self.observation = observation
            self.deadline = deadline
            self.runsDryAt = runsDryAt
        }
    }

    /// What became of the robots of a batch.
    package struct Verdict: Hashable, Sendable {
        package var answered: [String] = []
        /// Those that the policy could not answer although it answers others, or that may have ended its process.
        package var failed: [String] = []
        /// False for a batch whose time says nothing about the next one's.
        package var isTypical = true

        package init(answered: [String] = [], failed: [String] = [], isTypical: Bool = true) {
            self.answered = answered
            self.failed = failed
            self.isTypical = isTypical
        }
    }

    package enum Action: Hashable, Sendable {
        /// Run these together, in this order; ends with `batchFinished`.
        case run([ID])
        /// End the call: a newer observation of the robot took its place.
        case supersede(ID, by: UInt64)
        /// End the call: too many wait. A newer observation is welcome after the time given.
        case refuse(ID, retryAfter: Duration)
        /// End the call: it would be answered after its deadline, by the time given.
        case refuseLate(ID, retryAfter: Duration)
        /// End the call: its deadline passed while it waited.
        case expire(ID)
        /// Call `timeReached` then; a later wake replaces nothing, an earlier one may come.
        case wake(at: MonotonicInstant)
    }

    private struct Waiting: Sendable {
        var entry: Entry
        var arrived: MonotonicInstant
        /// Pacing: not before this.
        var from: MonotonicInstant
        /// Batches that left without it although it was eligible.
        var passes = 0
    }

    private struct Running: Sendable {
        var size: Int
        var started: MonotonicInstant
    }

    private let configuration: Configuration
    private var waiting: [Waiting] = []
    private var running: Running?
    private var wakeAt: MonotonicInstant?
    /// Start of the last inference per robot; kept only while pacing needs it.
    private var lastStarts: [String: MonotonicInstant] = [:]
    /// Robots that run alone until they have had an answer: they would fail their neighbours.
    private var suspects: Set<String> = []
    package private(set) var times: BatchTimes

    /// More suspects than a worker remembers; beyond, one of them shares a batch again.
    package static var maximumSuspects: Int { 256 }

    package init(configuration: Configuration, times: BatchTimes? = nil) {
        self.configuration = configuration
        self.times = times ?? BatchTimes(maxBatch: configuration.maxBatch)
    }

    package func isSuspect(_ robot: String) -> Bool { suspects.contains(robot) }

    package var waitingCount: Int { waiting.count }
    package var runningCount: Int { running?.size ?? 0 }
    package var isRunning: Bool { running != nil }
    package var isIdle: Bool { waiting.isEmpty && running == nil }

    /// When the running batch should be done; nil when none runs.
    package var expectedFinish: MonotonicInstant? { running.map { $0.started + times[$0.size] } }

    package mutating func requestArrived(_ entry: Entry, at now: MonotonicInstant) -> [Action] {
        if isExpired(entry, at: now) { return [.expire(entry.id)] }
        let arrival = Waiting(entry: entry, arrived: now, from: earliestStart(of: entry, at: now))
        // A request without a robot's name stands for itself.
        if !entry.robot.isEmpty, let place = waiting.firstIndex(where: { $0.entry.robot == entry.robot }) {
            let older = waiting[place]
            let superseded = Action.supersede(older.entry.id, by: entry.observation)
            if let late = lateness(of: entry, place: place, from: arrival.from, at: now) {
                waiting.remove(at: place)
                return [superseded, .refuseLate(entry.id, retryAfter: late)] + dispatch(at: now)
            }
            waiting[place] = arrival
            waiting[place].arrived = older.arrived
            waiting[place].passes = older.passes
            return [superseded] + dispatch(at: now)
        }
        guard waiting.count < configuration.maxWaiting else {
            return [.refuse(entry.id, retryAfter: timeUntilFree(at: now))]
        }
        if let late = lateness(of: entry, place: waiting.count, from: arrival.from, at: now) {
            return [.refuseLate(entry.id, retryAfter: late)]
        }
        waiting.append(arrival)
        return dispatch(at: now)
    }

    /// The caller went away. A request that already runs is not affected.
    package mutating func requestCancelled(_ id: ID) {
        waiting.removeAll { $0.entry.id == id }
    }

    package mutating func batchFinished(at now: MonotonicInstant, _ verdict: Verdict = Verdict()) -> [Action] {
        if let running, verdict.isTypical { times.batchFinished(size: running.size, took: now - running.started) }
        running = nil
        suspects.subtract(verdict.answered)
        for robot in verdict.failed where !robot.isEmpty {
            if suspects.count >= Self.maximumSuspects { suspects.removeFirst() }
            suspects.insert(robot)
        }
        return dispatch(at: now)
    }

    /// A wake came due. When it came too early, as timers may, another one is asked for.
    package mutating func timeReached(at now: MonotonicInstant) -> [Action] {
        wakeAt = nil
        return dispatch(at: now)
    }
}

// Deciding what runs.
extension BatchQueue {
    private mutating func dispatch(at now: MonotonicInstant) -> [Action] {
        guard running == nil else { return [] }
        let expired = waiting.map(\.entry).filter { isExpired($0, at: now) }
        var actions = expired.map { Action.expire($0.id) }
        if !expired.isEmpty { waiting = waiting.filter { !isExpired($0.entry, at: now) } }
        let eligible = waiting.indices.filter { waiting[$0].from <= now }
        guard !eligible.isEmpty else {
            if let first = waiting.map(\.from).min() { actions += wake(at: first, now: now) }
            return actions
        }
        let start = gatherUntil(eligible)
        guard start <= now else {
            // Somebody paced may become eligible earlier and fill the batch.
            let next = waiting.map(\.from).filter { $0 > now }.min() ?? start
            return actions + wake(at: min(start, next), now: now)
        }
        let chosen = choose(eligible, at: now)
        let batch = chosen.map { waiting[$0].entry }
        for index in eligible { waiting[index].passes += 1 }
        for index in chosen.reversed() { waiting.remove(at: index) }
        running = Running(size: batch.count, started: now)
        remember(batch, at: now)
        actions.append(.run(batch.map(\.id)))
        return actions
    }

    /// The instant up to which a free runtime waits for more company.
    private func gatherUntil(_ eligible: [Int]) -> MonotonicInstant {
        let oldest = eligible.map { max(waiting[$0].arrived, waiting[$0].from) }.min()
        guard let oldest, configuration.gather > .zero, eligible.count < configuration.maxBatch else {
            return MonotonicInstant(nanoseconds: .min)
        }
        return eligible.compactMap { latestStart(of: waiting[$0].entry) }.reduce(oldest + configuration.gather, min)
    }

    /// Places of the next batch, ascending. Everybody keeps the place in line, except that those who would run dry
    /// by waiting one more batch, but not in this one, go first, and that nobody is passed over more than twice.
    ///
    /// Suspects run alone, when nobody else waits or when they were passed over twice.
    private func choose(_ all: [Int], at now: MonotonicInstant) -> [Int] {
        let suspected = suspects.isEmpty ? [] : all.filter { suspects.contains(waiting[$0].entry.robot) }
        if let patient = suspected.first(where: { waiting[$0].passes >= 2 }) { return [patient] }
        if let first = suspected.first, suspected.count == all.count { return [first] }
        let eligible = suspected.isEmpty ? all : all.filter { !suspected.contains($0) }
        guard eligible.count > configuration.maxBatch else { return eligible }
        let full = times[configuration.maxBatch]
        let urgent = eligible.filter { index in
            if waiting[index].passes >= 2 { return true }
            guard let dry = waiting[index].entry.runsDryAt else { return false }
            return dry >= now + full && dry < now + full + full
        }
        let others = eligible.filter { !urgent.contains($0) }
        return (urgent + others).prefix(configuration.maxBatch).sorted()
    }

    private mutating func wake(at instant: MonotonicInstant, now: MonotonicInstant) -> [Action] {
        if let wakeAt, wakeAt <= instant { return [] }
        wakeAt = instant
        return [.wake(at: instant)]
    }

    private mutating func remember(_ batch: [Entry], at now: MonotonicInstant) {
        guard configuration.pacing > .zero else { return }
        for entry in batch where !entry.robot.isEmpty { lastStarts[entry.robot] = now }
        guard lastStarts.count > 2 * configuration.maxWaiting else { return }
        lastStarts = lastStarts.filter { $0.value + configuration.pacing > now }
    }
}

// Estimates.
extension BatchQueue {
    /// Pacing never starves: a robot that would run dry is served first of all.
    private func earliestStart(of entry: Entry, at now: MonotonicInstant) -> MonotonicInstant {
        guard configuration.pacing > .zero, let last = lastStarts[entry.robot] else { return now }
        let paced = last + configuration.pacing
        return max(now, latestStart(of: entry).map { min(paced, $0) } ?? paced)
    }

    /// The last start at which a full batch still reaches the robot in time, with a quarter of its time to spare.
    private func latestStart(of entry: Entry) -> MonotonicInstant? {
        entry.runsDryAt.map { dry in
            let full = times[configuration.maxBatch]
            return dry.advanced(by: .zero - (full + full / 4))
        }
    }

    /// Nil when the request can be answered before its deadline, else how long to hold the next observation back.
    private func lateness(
        of entry: Entry,
        place: Int,
        from: MonotonicInstant,
        at now: MonotonicInstant
    ) -> Duration? {
        guard let deadline = entry.deadline else { return nil }
        let ahead = place / configuration.maxBatch
        let own = min(configuration.maxBatch, place % configuration.maxBatch + 1)
        let start = max(from, now + timeUntilFree(at: now) + times[configuration.maxBatch] * ahead)
        let finish = start + times[own]
        return finish <= deadline ? nil : max(finish - deadline, .milliseconds(1))
    }

    private func timeUntilFree(at now: MonotonicInstant) -> Duration {
        expectedFinish.map { max(.zero, $0 - now) } ?? .zero
    }

    private func isExpired(_ entry: Entry, at now: MonotonicInstant) -> Bool {
        entry.deadline.map { $0 <= now } ?? false
    }
}
