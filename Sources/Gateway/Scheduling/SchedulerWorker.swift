import Foundation
import GrootCore

/// What the scheduler knows of one worker: who reaches it, what it serves, what is on its books, how long that takes.
/// Pure; part of `Scheduler`.
struct SchedulerWorker: Sendable {
    /// Requests of one checkpoint at this worker; only requests of one checkpoint share a batch.
    struct Group: Sendable {
        var checkpoint: String
        var inFlight = 0
        var times = ServiceTimes()
    }

    /// Answers closer together than this came from one batch.
    static let burst = Duration.milliseconds(2)
    /// An answer may come so much later than expected, and half as late again, before it is overdue.
    static let grace = Duration.milliseconds(50)

    let id: WorkerID
    /// Stable over restarts; what consistent hashing hashes.
    let address: String
    let hash: UInt64
    /// One bit per event loop that has a connection to it and finds it healthy.
    private(set) var reachable: UInt64 = 0
    /// Counts restarts, so that a restarted worker is not taken for the one that failed.
    private(set) var incarnation: UInt32 = 0
    private(set) var upSince = MonotonicInstant(nanoseconds: 0)
    /// Nil until it has described itself.
    private(set) var served: [String]?
    /// An operator or the worker itself asked: nothing new, what is in flight finishes.
    var isDraining = false
    /// No longer a member; forgotten when its books are empty.
    var isLeaving = false
    /// Streams that the peer takes on one connection.
    var streamLimit = Int.max
    /// Largest batch; nil when it did not say.
    private(set) var capacity: Int?
    /// What it described: a report may say less, never more.
    private var describedCapacity: Int?
    /// At least one group, so that a worker that did not describe itself has books too.
    private(set) var groups = [Group(checkpoint: "")]
    private(set) var inFlight = 0
    /// When the batch that is thought to run should end, and how many requests are in it.
    private(set) var batchEndsAt = MonotonicInstant(nanoseconds: 0)
    private(set) var running = 0
    private var lastAnswerAt = MonotonicInstant(nanoseconds: 0)
    private var overdue = OverdueWatch()
    private(set) var penaltyUntil = MonotonicInstant(nanoseconds: 0)
    /// Requests of other gateways, by the worker's last report; fades within a second.
    private var foreign = 0.0
    private var reportedAt = MonotonicInstant(nanoseconds: 0)
    private(set) var lastLoad: WorkerLoad?
    var outlier = OutlierDetector()

    init(id: WorkerID, address: String) {
        self.id = id
        self.address = address
        self.hash = StableHash.of(address)
    }

    var isUp: Bool { reachable != 0 }

    // MARK: Events

    /// True when it was down for everybody before.
    mutating func reached(byLoop loop: Int, at now: MonotonicInstant) -> Bool {
        let first = reachable == 0
        reachable |= 1 << UInt64(loop)
        guard first else { return false }
        incarnation += 1
        upSince = now
        penaltyUntil = MonotonicInstant(nanoseconds: 0)
        foreign = 0
        lastLoad = nil
        capacity = describedCapacity
        for index in groups.indices { groups[index].times.forget() }
        return true
    }

    mutating func lost(byLoop loop: Int) {
        reachable &= ~(1 << UInt64(loop))
    }

    mutating func described(_ policies: [DescribedPolicy], largestBatch: Int) {
        served = policies.map(\.checkpoint)
        let largest = min(largestBatch, policies.map(\.maxBatch).max() ?? 0)
        capacity = largest > 0 ? largest : nil
        describedCapacity = capacity
        // Tickets in flight point at positions: those stay. What is served no more and has nothing in flight makes room.
        for policy in policies {
            if let index = groups.firstIndex(where: { $0.checkpoint == policy.checkpoint }) {
                groups[index].describe(policy)
                continue
            }
            var group = Group(checkpoint: policy.checkpoint)
            if let index = groups.firstIndex(where: { served?.contains($0.checkpoint) == false && $0.inFlight == 0 }) {
                group.describe(policy)
                groups[index] = group
            } else if groups.count == 1, groups[0].checkpoint.isEmpty {
                groups[0].checkpoint = policy.checkpoint
                groups[0].describe(policy)
            } else {
                group.describe(policy)
                groups.append(group)
            }
        }
        while groups.count > 1, let last = groups.last, last.inFlight == 0, served?.contains(last.checkpoint) == false {
            groups.removeLast()
        }
    }

    /// - Parameter expected: seconds until the answer.
    mutating func dispatched(_ number: UInt64, group: Int, expected: Double, at now: MonotonicInstant) {
        groups[group].inFlight += 1
        inFlight += 1
        overdue.dispatched(number, due: now + .seconds(1.5 * expected) + Self.grace, at: now)
        if inFlight == 1, presentForeign(at: now) < 0.5 {
            batchBegan(of: 1, for: .seconds(groups[group].times.seconds(batch: 1, idle: true, at: now)), at: now)
        }
    }

    private mutating func batchBegan(of size: Int, for time: Duration, at now: MonotonicInstant) {
        running = size
        batchEndsAt = now + time
    }

    mutating func withdrew(_ ticket: Ticket) {
        groups[ticket.group].inFlight -= 1
        inFlight -= 1
        overdue.finished(ticket.number)
    }

    /// An answer came. With the worker's report nothing is guessed, but nothing is believed either that cannot be;
    /// without it, the time since the batch began counts for the batch that was thought to run.
    mutating func answered(
        _ ticket: Ticket,
        _ load: WorkerLoad?,
        _ configuration: SchedulingConfiguration,
        at now: MonotonicInstant
    ) {
        withdrew(ticket)
        let load = load.map { clamped($0, ticket, configuration, at: now) }
        if let load {
            if let reported = load.capacity { capacity = reported }
            if let seconds = load.batchSeconds, seconds > 0 {
                let size = load.batch ?? max(1, running)
                groups[ticket.group].times.observed(batch: size, seconds: seconds, at: now)
            }
            foreign = max(0, Double((load.queue ?? 0) + (load.running ?? 0) - inFlight))
            reportedAt = now
            lastLoad = load
        }
        if load?.batchSeconds == nil { learn(ticket, at: now) }
        if let left = load?.leftSeconds, let reported = load?.running, reported > 0 {
            batchBegan(of: reported, for: .seconds(left), at: now)
        } else if load?.running == 0 {
            // Idle; what is in flight is on its way.
            running = 0
            batchEndsAt = now
        } else if inFlight > 0 {
            // The rest of a burst is the end of one batch and not the begin of further ones.
            if now - lastAnswerAt >= Self.burst || running == 0 {
                let size = min(capacity ?? 1, inFlight)
                let time = groups[ticket.group].times.seconds(batch: size, idle: false, at: now)
                batchBegan(of: size, for: .seconds(time), at: now)
            } else {
                running = min(running, inFlight)
            }
        } else {
            running = 0
        }
        lastAnswerAt = now
        let next = groups[ticket.group].times.seconds(batch: min(capacity ?? 1, max(1, inFlight)), idle: false, at: now)
        overdue.progressed(nextBy: now + .seconds(1.5 * next) + Self.grace)
    }

    /// We gave up after so long; only the news that it is slower than thought is news.
    mutating func abandoned(_ ticket: Ticket, at now: MonotonicInstant) {
        withdrew(ticket)
        let seconds = (now - max(ticket.startedAt, lastAnswerAt)).seconds
        let size = max(1, running)
        if seconds > 2 * groups[ticket.group].times.seconds(batch: size, idle: false, at: now), seconds > 0.05 {
            groups[ticket.group].times.observed(batch: size, seconds: seconds, at: now)
        }
    }

    mutating func penalised(_ penalty: Duration, at now: MonotonicInstant) {
        penaltyUntil = max(penaltyUntil, now + penalty)
    }

    // MARK: Questions

    /// Position of the books for this selector; nil when the worker does not serve it.
    func group(for selector: String?) -> Int? {
        guard let selector else { return groups.firstIndex { served?.contains($0.checkpoint) ?? true } ?? 0 }
        guard served != nil else { return nil }
        return groups.firstIndex { $0.checkpoint == selector }.flatMap {
            served?.contains(selector) == true ? $0 : nil
        }
    }

    /// Requests that this gateway may have on its books now: the batch that runs, and once that is about to end, one
    /// batch more that is being uploaded. Until then requests wait in the gateway, where newer ones can replace them.
    func credit(_ configuration: SchedulingConfiguration, at now: MonotonicInstant) -> Int {
        let limit = min(configuration.maxRequestsPerWorker, streamLimit)
        if isStuck(configuration, at: now) {
            // One request at a time finds out whether it answers at all.
            return now - overdue.lastDispatch >= configuration.outlier.timeout ? inFlight + 1 : 0
        }
        guard let capacity else { return min(configuration.unknownCapacityCredit, limit) }
        guard inFlight > 0 else { return min(capacity, limit) }
        let isOpen = running == 0 || batchEndsAt - now <= configuration.dispatchLead
        let forming = isOpen ? capacity * (configuration.creditBatches - 1) : 0
        let whole = running + forming - Int(presentForeign(at: now))
        return min(max(isOpen ? running + 1 : 0, whole), limit)
    }

    /// When the next batch may be uploaded; nil when that is no question of time.
    func opens(_ configuration: SchedulingConfiguration, at now: MonotonicInstant) -> MonotonicInstant? {
        if isStuck(configuration, at: now) { return overdue.lastDispatch + configuration.outlier.timeout }
        guard capacity != nil, inFlight > 0, running > 0 else { return nil }
        return MonotonicInstant(nanoseconds: batchEndsAt.nanoseconds - configuration.dispatchLead.nanoseconds)
    }

    /// It is late with everything it has, by more than any worker may be.
    private func isStuck(_ configuration: SchedulingConfiguration, at now: MonotonicInstant) -> Bool {
        lateness(at: now) >= configuration.outlier.timeout.seconds
    }

    /// Seconds that what should long be there is late, whatever the worker says of itself; zero while it answers.
    func lateness(at now: MonotonicInstant) -> Double {
        inFlight > 0 ? overdue.lateness(at: now).seconds : 0
    }

    /// Seconds until a request sent now should be answered: the rest of the batch that runs, the full batches ahead,
    /// batches of other checkpoints, its own batch; and as much again as it is late already.
    func answerTime(group: Int, ahead: Int = 0, at now: MonotonicInstant) -> Double {
        let others = inFlight + ahead + Int(presentForeign(at: now) + 0.5)
        let times = groups[group].times
        guard others > 0 else { return times.seconds(batch: 1, idle: true, at: now) }
        let largest = capacity ?? 1
        // Overdue by so much: expect as much again, so that a stalled worker looks worse and worse.
        let left = running > 0 ? abs((batchEndsAt - now).seconds) : 0
        let position = max(0, others - max(0, running))
        let mine = groups.count == 1 ? position : max(0, min(position, groups[group].inFlight + ahead))
        var delay = max(left, lateness(at: now)) + times.seconds(batch: mine % largest + 1, idle: false, at: now)
        delay += Double(mine / largest) * times.seconds(batch: largest, idle: false, at: now)
        if groups.count > 1 {
            for (index, other) in groups.enumerated() where index != group && other.inFlight > 0 {
                let batches = (Double(other.inFlight) / Double(largest)).rounded(.up)
                let size = min(other.inFlight, largest)
                delay += batches * other.times.seconds(batch: size, idle: false, at: now)
            }
        }
        return delay
    }

    /// Seconds as they count for a choice.
    func weighed(_ answer: Double, _ configuration: SchedulingConfiguration, at now: MonotonicInstant) -> Double {
        answer / weight(configuration, at: now) + max(0, (penaltyUntil - now).seconds)
    }

    /// Requests per second at full batches.
    func pace(at now: MonotonicInstant) -> Double {
        let largest = capacity ?? 1
        let seconds =
            groups.map { $0.times.seconds(batch: largest, idle: false, at: now) }.max() ?? ServiceTimes.unknown
        return Double(largest) / max(seconds, 1e-6)
    }

    /// From a tenth up to 1 while the worker is new.
    func weight(_ configuration: SchedulingConfiguration, at now: MonotonicInstant) -> Double {
        let age = now - upSince
        let window = configuration.slowStart
        guard window > .zero, age < window else { return 1 }
        return max(0.1, age.seconds / window.seconds)
    }

    func presentForeign(at now: MonotonicInstant) -> Double {
        guard foreign > 0 else { return 0 }
        return foreign * exp(-max(0, (now - reportedAt).seconds) / 0.5)
    }

    /// What a report can be at most: the batch ran while the request was there; a batch is no larger than described, and
    /// what is left of one no longer than two of them; what others sent is bounded by what they may.
    private func clamped(
        _ load: WorkerLoad,
        _ ticket: Ticket,
        _ configuration: SchedulingConfiguration,
        at now: MonotonicInstant
    ) -> WorkerLoad {
        var load = load
        let largest = describedCapacity ?? configuration.largestBatch
        load.capacity = load.capacity.map { min($0, largest) }
        let batch = load.capacity ?? capacity ?? 1
        load.batch = load.batch.map { min($0, batch) }
        load.running = load.running.map { min($0, batch) }
        load.queue = load.queue.map { min($0, inFlight + 4 * configuration.creditBatches * batch) }
        load.batchSeconds = load.batchSeconds.map { min($0, (now - ticket.startedAt).seconds) }
        let longest = 2 * groups[ticket.group].times.seconds(batch: batch, idle: false, at: now)
        load.leftSeconds = load.leftSeconds.map { min($0, max(longest, load.batchSeconds ?? 0)) }
        return load
    }

    private mutating func learn(_ ticket: Ticket, at now: MonotonicInstant) {
        // The rest of a burst belongs to the batch whose first answer was counted.
        if capacity != nil, now - lastAnswerAt < Self.burst { return }
        let seconds = (now - max(ticket.startedAt, lastAnswerAt)).seconds
        let size = capacity == nil ? 1 : max(1, running)
        groups[ticket.group].times.observed(batch: size, seconds: max(seconds, 1e-6), at: now)
    }
}

extension SchedulerWorker.Group {
    fileprivate mutating func describe(_ policy: DescribedPolicy) {
        times.described(as: policy.batchTimes.map { ($0.batch, $0.time) }, maxBatch: policy.maxBatch)
    }
}
