import GrootCore

/// When a worker is asked what it serves: on connecting, when it says that this changed, when it disowns a checkpoint,
/// and from time to time when it cannot say. Pure.
struct DescriptionWatch: Sendable {
    /// A worker that does not say which set it serves is asked so often.
    static let interval = Duration.seconds(30)
    /// Whatever it says, it is asked no oftener than this; health checks come again.
    static let pause = Duration.milliseconds(200)

    private enum State: Sendable, Equatable {
        case unknown
        /// It was described, and then disowned one of those checkpoints.
        case doubted
        /// As of the set that it had named when it was asked; nil when it had named none.
        case known(String?)
    }

    private var state = State.unknown
    /// The set that it named last.
    private var latest: String?
    /// The question under way, with the set that was known then.
    private var asking: String??
    /// It disowned a checkpoint while that question was under way: the answer may be older.
    private var isAnswerDoubted = false
    private var askedAt = MonotonicInstant.distantPast

    /// A new connection: perhaps a new worker.
    mutating func connected() {
        let latest = latest
        self = DescriptionWatch()
        self.latest = latest
    }

    /// It named its set, or did not; true when it should be asked.
    mutating func said(_ generation: String?, at now: MonotonicInstant) -> Bool {
        latest = generation
        return isDue(at: now)
    }

    /// It does not have a checkpoint that it should have; true when it should be asked.
    mutating func disowned(at now: MonotonicInstant) -> Bool {
        if case .known = state { state = .doubted }
        if asking != nil { isAnswerDoubted = true }
        return isDue(at: now)
    }

    func isDue(at now: MonotonicInstant) -> Bool {
        guard asking == nil, now - askedAt >= Self.pause else { return false }
        return switch state {
        case .unknown, .doubted: true
        case .known(let set): latest == nil ? now - askedAt >= Self.interval : latest != set
        }
    }

    /// False while a question is under way.
    mutating func asked(at now: MonotonicInstant) -> Bool {
        guard asking == nil else { return false }
        asking = .some(latest)
        isAnswerDoubted = false
        askedAt = now
        return true
    }

    /// It described itself; true when it is the first time on this connection.
    mutating func answered() -> Bool {
        defer {
            state = isAnswerDoubted ? .doubted : .known(asking ?? nil)
            asking = nil
        }
        return state == .unknown
    }

    mutating func failed() {
        asking = nil
    }
}
