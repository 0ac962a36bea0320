import Foundation
import GrootCore

/// Chooses the worker with the least expected delay. Pure; one instance for all event loops, behind a mutex.
///
/// Expected delay of a worker = (requests in flight + 1) x its service time, plus what is left of a penalty after a
/// failure. The service time is a moving average over time that jumps up at once on a slow answer and comes down
/// slowly, and fades while nothing is sent, so that a worker that was slow once gets another chance. All workers are
/// compared (pools are small); ties go round.
struct Balancer: Sendable {
    struct Configuration: Sendable {
        /// Time constant at which faster answers pull the average down.
        var averaging = Duration.seconds(2)
        /// Time constant at which the average of an idle worker fades.
        var fading = Duration.seconds(10)
        /// What a failed request adds to the expected delay; melts to nothing over as much time.
        var failurePenalty = Duration.seconds(5)
        /// Service time of a worker that has not answered yet.
        var initialService = Duration.milliseconds(1)
    }

    /// How an attempt ended, as far as choosing is concerned.
    enum Outcome: Sendable, Equatable {
        /// An answer, good or bad for its caller, after so much time in the worker's hands.
        case answered(after: Duration)
        /// The worker failed: connection lost, refused, UNAVAILABLE.
        case failed
        /// We gave up (deadline, client gone): says that the service time is at least this.
        case abandoned(after: Duration)
    }

    /// Returned by `dispatched` and given back with the outcome.
    struct Ticket: Sendable, Equatable {
        var worker: Int
        /// Requests of this worker that were in flight at dispatch, this one included.
        var depth: Int
    }

    private struct Worker: Sendable {
        var inFlight = 0
        /// Seconds; nil before the first answer.
        var service: Double?
        var updated = MonotonicInstant(nanoseconds: 0)
        var penaltyUntil = MonotonicInstant(nanoseconds: 0)
    }

    let configuration: Configuration
    private var workers: [Worker]
    private var turn = 0

    init(workers: Int, configuration: Configuration = Configuration()) {
        self.configuration = configuration
        self.workers = Array(repeating: Worker(), count: workers)
    }

    /// The best of the candidates, or nil when there is none.
    mutating func pick(from candidates: [Int], at now: MonotonicInstant) -> Int? {
        guard !candidates.isEmpty else { return nil }
        turn = (turn + 1) % workers.count
        var best: (worker: Int, delay: Double, distance: Int)?
        for worker in candidates {
            let delay = expectedDelay(of: worker, at: now)
            let distance = (worker - turn + workers.count) % workers.count
            if let best, best.delay < delay || (best.delay == delay && best.distance < distance) { continue }
            best = (worker, delay, distance)
        }
        return best?.worker
    }

    mutating func dispatched(to worker: Int) -> Ticket {
        workers[worker].inFlight += 1
        return Ticket(worker: worker, depth: workers[worker].inFlight)
    }

    mutating func finished(_ ticket: Ticket, _ outcome: Outcome, at now: MonotonicInstant) {
        workers[ticket.worker].inFlight -= 1
        switch outcome {
        case .answered(let time):
            observe(ticket, seconds: time.seconds, at: now)
        case .abandoned(let time):
            // Only the news that it is slower than thought is news.
            if let known = faded(workers[ticket.worker], at: now), sample(ticket, time.seconds) > known {
                observe(ticket, seconds: time.seconds, at: now)
            }
        case .failed:
            workers[ticket.worker].penaltyUntil = now + configuration.failurePenalty
        }
    }

    /// Forgets what was known; the worker was restarted and is a new one.
    mutating func restarted(_ worker: Int) {
        workers[worker].service = nil
        workers[worker].penaltyUntil = MonotonicInstant(nanoseconds: 0)
    }

    func inFlight(_ worker: Int) -> Int { workers[worker].inFlight }

    /// Seconds until a request sent now would be answered.
    func expectedDelay(of worker: Int, at now: MonotonicInstant) -> Double {
        let state = workers[worker]
        let service = faded(state, at: now) ?? configuration.initialService.seconds
        return Double(state.inFlight + 1) * service + max(0, (state.penaltyUntil - now).seconds)
    }

    /// Average service time in seconds; nil before the first answer.
    func serviceTime(of worker: Int, at now: MonotonicInstant) -> Double? {
        faded(workers[worker], at: now)
    }

    private func faded(_ worker: Worker, at now: MonotonicInstant) -> Double? {
        guard let service = worker.service else { return nil }
        guard worker.inFlight == 0 else { return service }
        let idle = max(0, (now - worker.updated).seconds)
        return max(configuration.initialService.seconds, service * exp(-idle / configuration.fading.seconds))
    }

    /// The time one request takes when `depth` of them share the worker: on average half of the first was done.
    private func sample(_ ticket: Ticket, _ seconds: Double) -> Double {
        seconds / max(1, Double(ticket.depth) - 0.5)
    }

    private mutating func observe(_ ticket: Ticket, seconds: Double, at now: MonotonicInstant) {
        let sample = sample(ticket, seconds)
        var worker = workers[ticket.worker]
        if let known = worker.service, sample < known {
            let elapsed = max(0, (now - worker.updated).seconds)
            let weight = 1 - exp(-elapsed / configuration.averaging.seconds)
            worker.service = known + weight * (sample - known)
        } else {
            worker.service = sample
        }
        worker.updated = now
        workers[ticket.worker] = worker
    }
}
