import GrootCore

/// A fleet for the simulator: robots, workers, network. Defaults are the model of docs/scheduling.md.
struct SimulationConfiguration: Sendable {
    var robots = 32
    var workers = 2
    var maxBatch = 8
    /// A batch of b takes base + b x perRequest.
    var base = Duration.milliseconds(35)
    var perRequest = Duration.milliseconds(15)
    /// Times vary by up to this share, evenly.
    var jitter = 0.0
    /// One way between robot and gateway.
    var networkDelay = Duration.milliseconds(2)
    var controlRate = 30
    /// Actions of one chunk; robots take the entries in turn.
    var chunks = [16, 50]
    /// A robot asks when this share of a chunk or less is left.
    var threshold = 0.5
    var duration = Duration.seconds(60)
    /// Not counted.
    var warmUp = Duration.seconds(10)
    var seed: UInt64 = 1
    /// Robots with one call in flight keep to `groot-next-observation-after-ms`.
    var robotsHeedHints = true
    /// When the first worker dies, and for how long.
    var outage: (at: Duration, length: Duration)?
}

/// A way to schedule, with the robot behaviour that goes with it.
struct SimulatedPolicy: Sendable {
    var name: String
    var text: String
    var discipline: WaitingQueue.Discipline
    /// Requests wait in the gateway until a worker can start; otherwise they wait at the workers.
    var waitsAtGateway = true
    var batches = true
    var routing = RoutingPolicy.expectedDelay
    /// A robot sends an observation each tick below the threshold; otherwise it has one call in flight.
    var everyTick = true

    static let all: [SimulatedPolicy] = [
        SimulatedPolicy(
            name: "fifo",
            text: "an observation every tick below the threshold, workers first come first served",
            discipline: .fifo,
            waitsAtGateway: false,
            batches: false,
            routing: .leastRequest
        ),
        SimulatedPolicy(
            name: "least-request",
            text: "least request, one call in flight per robot: a general proxy",
            discipline: .fifo,
            waitsAtGateway: false,
            batches: false,
            routing: .leastRequest,
            everyTick: false
        ),
        SimulatedPolicy(
            name: "newest-to-tail",
            text: "gateway queue, newest wins and goes to the tail",
            discipline: .tail,
            batches: false
        ),
        SimulatedPolicy(
            name: "in-place",
            text: "gateway queue, newest wins and keeps its place",
            discipline: .inPlace,
            batches: false
        ),
        SimulatedPolicy(
            name: "earliest-dry",
            text: "the same, ordered by who runs dry first",
            discipline: .earliestDry,
            batches: false
        ),
        SimulatedPolicy(name: "in-place-batched", text: "in place, with batches: what serves", discipline: .inPlace),
        SimulatedPolicy(
            name: "earliest-dry-batched",
            text: "ordered by who runs dry first, with batches",
            discipline: .earliestDry
        ),
        SimulatedPolicy(
            name: "in-place-batched-unary",
            text: "what serves, with robots that have one call in flight",
            discipline: .inPlace,
            everyTick: false
        ),
    ]
}

/// What came out of one run.
struct SimulationReport: Sendable, Encodable, Equatable {
    var policy: String
    var robots: Int
    var workers: Int
    /// Control ticks without an action, in percent of all.
    var starvedPercent: Double
    /// The same of the robot that fared worst.
    var worstRobotPercent: Double
    /// Robots that got no chunk at all.
    var robotsWithoutChunk: Int
    var inferencesPerSecond: Double
    /// Requests that shared an inference, on average.
    var batchFill: Double
    var superseded: Int
    var shed: Int
    /// Inferences whose chunk came too late to add anything.
    var wasted: Int
    /// Capture until the chunk is there, milliseconds.
    var chunkAgeP50: Double
    var chunkAgeP99: Double

    enum CodingKeys: String, CodingKey {
        case policy, robots, workers, superseded, shed, wasted
        case starvedPercent = "starved_percent"
        case worstRobotPercent = "worst_robot_percent"
        case robotsWithoutChunk = "robots_without_chunk"
        case inferencesPerSecond = "inferences_per_second"
        case batchFill = "batch_fill"
        case chunkAgeP50 = "chunk_age_p50_ms"
        case chunkAgeP99 = "chunk_age_p99_ms"
    }
}
