import GrootCore
import HTTP2
import NIOCore

/// Finding a worker for a request: decisions are the scheduler's, this carries them out.
extension ProxyRequest {
    func dispatch(_ head: RequestHead) {
        let id = pool.nextID()
        let request = head.schedulerRequest(id, at: startedAt)
        scheduled = request
        carryOut(pool.ask { scheduler, now in scheduler.arrived(request, at: now) })
    }

    /// The scheduler gives it a worker after it has waited.
    func assigned(_ ticket: Ticket) {
        endWait()
        guard !isAnswered, attempt == nil else {
            pool.change { scheduler, now in scheduler.finished(ticket, .neverSeen, at: now) }
            return
        }
        if let waitedSince {
            waited += .now() - waitedSince
            shared.metrics.queueTime.record(waited)
        }
        start(ticket)
    }

    /// A newer observation of the robot has its place.
    func superseded(by observation: UInt64) {
        isWaiting = false
        let what = observation > 0 ? "observation \(observation)" : "a newer observation"
        answer(GRPCStatus(.aborted, "superseded by \(what) of the same robot"))
    }

    func carryOut(_ decision: SchedulingDecision) {
        switch decision {
        case .dispatch(let ticket): start(ticket)
        case .wait(let old, let hopeful): wait(superseding: old, hopeful: hopeful)
        case .shed(let hint):
            shared.metrics.shed.increment()
            let limit = pool.configuration.scheduling.waitingLimit
            answer(
                GRPCStatus(.resourceExhausted, "\(limit) requests wait for a worker already (waiting-limit)"),
                hint: hint
            )
        case .giveUp(let why):
            var status = lastFailure ?? GRPCStatus(.unavailable, "no worker available")
            switch why {
            case .budget:
                shared.metrics.retriesOverBudget.increment()
                status.message += "; not repeated: too many repetitions are under way (retry-share)"
            case .tooLate:
                shared.metrics.retriesTooLate.increment()
                status.message += "; not repeated: the robot would have run dry too long before (retry-lateness)"
            }
            answer(status)
        }
    }

    private func start(_ ticket: Ticket) {
        guard let head, let upstream = pool.upstream(ticket.worker) else {
            pool.change { scheduler, now in scheduler.finished(ticket, .neverSeen, at: now) }
            attemptFailed(nil, .neverProcessed, GRPCStatus(.unavailable, "the worker has left"))
            return
        }
        shared.metrics.dispatched.increment()
        if attempts > 0 { shared.metrics.retries.increment() }
        let now = MonotonicInstant.now()
        if let dryAt = scheduled?.dryAt { shared.metrics.slack.record(dryAt - now - ticket.expected) }
        guard let attempt = open(ticket, upstream, head, at: now) else {
            scheduled?.tried.append(.init(worker: ticket.worker, incarnation: ticket.incarnation))
            attemptFailed(nil, .neverProcessed, GRPCStatus(.unavailable, "\(upstream.name) takes no more requests"))
            return
        }
        self.attempt = attempt
        if body.isDelivered { attempt.delivered() }
        armHedge(ticket, at: now)
    }

    func open(_ ticket: Ticket?, _ upstream: Upstream, _ head: RequestHead, at now: MonotonicInstant)
        -> Attempt?
    {
        let attempt = Attempt(self, upstream: upstream, ticket: ticket, shared: shared)
        attempts += 1
        body.attemptStarted()
        let headers = head.headers(attempt: attempts, at: now)
        return attempt.start(headers, body: body.replay, complete: body.isComplete) ? attempt : nil
    }

    // MARK: Waiting

    private func wait(superseding old: RequestID?, hopeful: Bool) {
        guard let head, let scheduled else { return }
        isWaiting = true
        waitedSince = .now()
        pool.wait(self, scheduled.id)
        shared.metrics.queued.increment()
        if let old {
            shared.metrics.superseded.increment()
            pool.supersede(old, by: scheduled.observation)
        }
        guard !hopeful else {
            armHold(head)
            return
        }
        let refusal = refusal(head)
        guard refusal.code == .unavailable, mayRepeat else {
            answer(refusal)
            return
        }
        shared.metrics.held.increment()
        armHold(head)
    }

    /// Nobody could take it for so long: it is refused. As long as somebody is only busy, it waits for its deadline.
    private func armHold(_ head: RequestHead) {
        holdTimer = after(pool.configuration.holdLimit) { request in
            guard request.isWaiting, let scheduled = request.scheduled else { return }
            if request.shared.withScheduler({ $0.isHopeful(scheduled) }) {
                request.armHold(head)
                return
            }
            request.shared.metrics.noWorker.increment()
            request.answer(request.refusal(head))
        }
    }

    func stopWaiting() {
        guard isWaiting else { return }
        endWait()
        if let scheduled { pool.stopWaiting(scheduled.id) } else { pool.stopWaitingForControl(self) }
    }

    private func endWait() {
        isWaiting = false
        holdTimer?.cancel()
    }

    func waitingReason(_ head: RequestHead) -> String {
        if let scheduled, shared.withScheduler({ $0.isHopeful(scheduled) }) { return "every worker was busy" }
        return refusal(head).message
    }

    private func refusal(_ head: RequestHead) -> GRPCStatus {
        var status =
            head.route == .control
            ? GRPCStatus(.unavailable, "the control plane is not reachable: \(pool.control.downReason)")
            : pool.refusal(head.checkpoint)
        if let lastFailure { status.message += " (last attempt: \(lastFailure.message))" }
        return status
    }

    // MARK: Control plane

    func dispatchToControl() {
        guard let head, attempt == nil, !isAnswered else { return }
        if pool.control.canTake, mayRepeat, let attempt = open(nil, pool.control, head, at: .now()) {
            stopWaiting()
            self.attempt = attempt
            if body.isDelivered { attempt.delivered() }
            return
        }
        guard !isWaiting else { return }
        guard mayRepeat, pool.waitForControl(self) else {
            answer(refusal(head))
            return
        }
        isWaiting = true
        shared.metrics.held.increment()
        holdTimer = after(pool.configuration.holdLimit) { request in
            guard request.isWaiting else { return }
            request.answer(request.refusal(head))
        }
    }

    func controlMayBeThere() {
        if isWaiting { dispatchToControl() }
    }
}
