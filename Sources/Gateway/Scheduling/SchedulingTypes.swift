import GrootCore

/// Names a worker for as long as it is a member; never used again for another one.
struct WorkerID: Hashable, Sendable {
    var slot: Int
    var serial: UInt32
}

/// Names a request within this process.
struct RequestID: Hashable, Sendable {
    /// Index of the event loop that owns it.
    var loop: Int
    var number: UInt64
}

/// How a worker is chosen among those that may take a request (`--policy`).
enum RoutingPolicy: String, Sendable, CaseIterable {
    case expectedDelay = "expected-delay"
    case roundRobin = "round-robin"
    case leastRequest = "least-request"
    case powerOfTwo = "p2c"
    case consistentHash = "consistent-hash"
}

/// What the scheduler knows of a request: headers and time, never the body.
struct SchedulerRequest: Sendable {
    var id: RequestID
    /// Empty when it stands for itself (`Describe`).
    var robot: String
    /// Nil: any worker.
    var checkpoint: String?
    var observation: UInt64 = 0
    /// Hash of the robot's request id; 0 when it said none. The same one again is the robot's own hedge.
    var call: UInt64 = 0
    /// When the robot has no motion left; nil when it did not say.
    var dryAt: MonotonicInstant?
    var arrivedAt: MonotonicInstant
    /// False for calls that cost the worker no inference: they need no credit and teach nothing.
    var isWork = true
    /// Workers that failed it.
    var tried: [Tried] = []
    /// Its place in the waiting queue once it had one; a request that is tried again keeps it.
    var place: UInt64?

    struct Tried: Sendable, Equatable {
        var worker: WorkerID
        /// The incarnation that did; nil: no incarnation may have it again, because it may be what killed that one.
        var incarnation: UInt32?

        func excludes(_ id: WorkerID, _ current: UInt32) -> Bool {
            worker == id && (incarnation.map { $0 == current } ?? true)
        }
    }
}

/// One request on the books of one worker; given back with the outcome.
struct Ticket: Sendable, Equatable {
    /// Never used again for another one.
    var number: UInt64 = 0
    var worker: WorkerID
    /// Empty for a request that stands for itself.
    var robot: String
    var incarnation: UInt32
    /// Index of the checkpoint among those that the worker serves.
    var group: Int
    var isWork: Bool
    /// It is a repetition or a hedge and counts against the budget.
    var isExtra: Bool
    /// The worker takes batches, so that its robot has one request in hand.
    var batches: Bool
    var startedAt: MonotonicInstant
    /// What was expected at dispatch.
    var expected: Duration
}

/// How an attempt ended, as far as scheduling is concerned.
enum AttemptOutcome: Sendable, Equatable {
    /// A good answer: its time teaches.
    case answered
    /// A status that is the caller's fault; its speed is no recommendation.
    case declined
    /// NOT_FOUND: this worker does not have the checkpoint (any more). No failure until another worker has it.
    case misplaced
    /// RESOURCE_EXHAUSTED: says nothing about health, but its speed is no recommendation either.
    case refused(retryAfter: Duration?)
    /// The worker failed: everything that is not proven to be somebody else's fault.
    case failed
    /// We gave up (deadline, robot gone, hedge lost): slower than thought, and a failure when long overdue.
    case abandoned
    /// Another worker, asked later, answered first: a failure when it was long overdue.
    case overtaken
    /// It cannot have seen the request.
    case neverSeen
}

/// A waiting request that may go to a worker now; it is on the worker's books already.
struct Assignment: Sendable, Equatable {
    var request: RequestID
    var ticket: Ticket
}

/// What becomes of a request that asks for a worker.
enum SchedulingDecision: Sendable, Equatable {
    case dispatch(Ticket)
    /// It waits. `superseding` lost its place to it and must be answered. `hopeful`: a worker that could take it is up.
    case wait(superseding: RequestID?, hopeful: Bool)
    /// Too many wait already.
    case shed(nextObservationAfter: Duration)
    /// No repetition any more: the budget is used up, or it would come too late.
    case giveUp(GiveUp)

    enum GiveUp: Sendable, Equatable {
        case budget
        case tooLate
        /// A newer observation of the same robot waits already.
        case superseded
    }
}

/// Everything the scheduler can be told; defaults are from docs/scheduling.md.
struct SchedulingConfiguration: Sendable, Equatable {
    var policy = RoutingPolicy.expectedDelay
    /// Up to so many workers all are compared; above, two at random.
    var fullScanLimit = 16
    /// Batches that one worker may have on its books: one that runs, one that is being uploaded.
    var creditBatches = 2
    /// So long before the running batch should end the next one is uploaded; longer than an upload takes.
    var dispatchLead = Duration.milliseconds(20)
    /// No worker's batches are believed to be larger, whatever it says.
    var largestBatch = 64
    /// Requests on the books of a worker that does not say how large its batches are.
    var unknownCapacityCredit = 128
    /// Circuit breaker: never more than this on one worker's books.
    var maxRequestsPerWorker = 1024
    /// Requests that may wait, over all robots.
    var waitingLimit = 1024
    /// Which of the waiting requests goes first.
    var discipline = WaitingQueue.Discipline.inPlace
    /// Added to the expected delay of a worker after a failure or a refusal; melts to nothing over as much time.
    var failurePenalty = Duration.seconds(5)
    /// Longest wait that a refusing worker may ask for.
    var longestPushback = Duration.seconds(300)
    /// A worker that came up is given more work step by step over this time.
    var slowStart = Duration.seconds(5)
    /// A robot stays with its last worker when that is at most this share slower than the best.
    var affinity = 0.1
    /// A request waits for a worker without credit only when that is expected to answer so many times sooner than any
    /// that has credit.
    var patience = 1.25
    /// Consistent hashing and affinity: no worker gets more than this times the average load.
    var boundedLoad = 1.25
    /// Runway of a request that does not say it.
    var assumedRunway = Duration.seconds(1)
    /// Repetitions and hedges at a time: at least so many, or this share of the active requests.
    var retryMinimum = 32
    var retryShare = 0.2
    /// A repetition may be expected so long after the robot ran dry; beyond, a fresh observation serves it better.
    var retryLateness = Duration.seconds(1)
    /// Longest hint of when to observe again.
    var longestHint = Duration.seconds(2)
    /// Robots whose last request is remembered.
    var robotLimit = 4096
    var outlier = OutlierDetector.Configuration()
}
