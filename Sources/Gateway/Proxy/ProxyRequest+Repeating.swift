import GrootCore
import HTTP2
import NIOCore

/// Another worker for a request: after a failure, or beside the first one when the robot is about to run dry.
extension ProxyRequest {
    var mayRepeat: Bool {
        attempts <= pool.configuration.retryLimit && !hasResponded && (body.isRepeatable || body.byteCount == 0)
    }

    /// Whether a worker's refusal is worth a try on another one that is there now.
    func canRepeatElsewhere(after attempt: Attempt) -> Bool {
        guard mayRepeat, attempt === self.attempt || attempt === hedge else { return false }
        exclude(attempt)
        guard let scheduled else { return false }
        return shared.withScheduler { $0.isHopeful(scheduled) }
    }

    /// The request goes to this worker no more.
    private func exclude(_ attempt: Attempt?) {
        guard let ticket = attempt?.ticket else { return }
        let tried = SchedulerRequest.Tried(worker: ticket.worker, incarnation: ticket.incarnation)
        if scheduled?.tried.contains(tried) == false { scheduled?.tried.append(tried) }
    }

    func workerWentDown(_ attempt: Attempt) {
        guard canRepeatElsewhere(after: attempt) else { return }
        attempt.cancel(.failed)
        let why = GRPCStatus(.unavailable, "\(attempt.upstream.name) stopped answering health checks")
        attemptFailed(attempt, .workerFailed, why)
    }

    /// - Parameter failed: nil when it did not get as far as a stream.
    func attemptFailed(_ failed: Attempt?, _ failure: Attempt.Failure, _ status: GRPCStatus) {
        guard !isAnswered, failed == nil || failed === attempt || failed === hedge else { return }
        // What the worker has not seen says nothing about it: after a GOAWAY it has another connection.
        if failure != .neverProcessed { exclude(failed) }
        let other = failed === hedge ? attempt : hedge
        hedge = nil
        attempt = other
        lastFailure = status
        // The other one goes on.
        if other != nil, failure != .final { return }
        guard failed?.hasAnswered != true, failure != .final, mayRepeat else {
            answer(status, from: failed?.upstream)
            return
        }
        guard let scheduled else {
            dispatchToControl()
            return
        }
        carryOut(
            pool.ask { scheduler, now in
                scheduler.failed(scheduled, unseen: failure == .neverProcessed, at: now)
            }
        )
    }

    // MARK: Hedging

    /// When the answer may come after the robot ran dry, a second worker is asked: at once if that is expected, else at
    /// the last moment at which another one could still save it.
    func armHedge(_ ticket: Ticket, at now: MonotonicInstant) {
        guard pool.configuration.hedges, let dryAt = scheduled?.dryAt, ticket.isWork, attempts == 1 else { return }
        let expected = ticket.expected.seconds
        let late = now + .seconds(1.5 * expected) > dryAt
        let delay = late ? .milliseconds(1) : max(.milliseconds(1), (dryAt - now) - .seconds(1.5 * expected))
        hedgeTimer = after(delay) { $0.startHedge() }
    }

    private func startHedge() {
        exclude(attempt)
        guard let head, let scheduled, attempt != nil, attempt?.hasAnswered == false, hedge == nil, !hasResponded,
            mayRepeat
        else { return }
        guard body.isComplete else {
            hedgeTimer = after(.milliseconds(5)) { $0.startHedge() }
            return
        }
        var ticket: Ticket?
        pool.change { scheduler, now in
            ticket = scheduler.hedged(scheduled, at: now)
            return []
        }
        guard let ticket, let upstream = pool.upstream(ticket.worker) else { return }
        shared.metrics.hedges.increment()
        hedge = open(ticket, upstream, head, at: .now())
    }
}
