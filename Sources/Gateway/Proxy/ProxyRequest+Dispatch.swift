import GrootCore
import HTTP2
import NIOCore

/// Finding a worker for a request: the scheduler decides who, the machine whether, this asks and sends.
extension ProxyRequest {
    func schedule() {
        guard let scheduled else {
            dispatchToControl()
            return
        }
        hear(pool.change { scheduler, now in scheduler.arrived(scheduled, at: now) })
    }

    func reschedule(unseen: Bool) {
        guard var request = scheduled else {
            dispatchToControl()
            return
        }
        request.tried = machine?.record.tried ?? []
        scheduled = request
        hear(pool.change { scheduler, now in scheduler.failed(request, unseen: unseen, at: now) })
    }

    func askHedge() {
        guard var request = scheduled else { return }
        request.tried = machine?.record.tried ?? []
        let effects = pool.change { scheduler, now in scheduler.hedged(request, at: now) }
        guard case .dispatch(let ticket) = effects.decision else {
            tell { $0.hedgeDispatched(nil, at: .now()) }
            return
        }
        let now = MonotonicInstant.now()
        let isLate = first?.isOverdue(after: pool.configuration.overdue, at: now) == true
        (isLate ? shared.metrics.overdue : shared.metrics.hedges).increment()
        tell { $0.hedgeDispatched(ticket, at: now) }
    }

    /// The scheduler gives it a worker after it has waited.
    func assigned(_ ticket: Ticket) {
        endWait()
        shared.metrics.queueTime.record(waited)
        dispatched(ticket)
    }

    /// A newer observation of the robot has its place.
    func superseded(by observation: UInt64) {
        endWait()
        let what = observation > 0 ? "observation \(observation)" : "a newer observation"
        let status = GRPCStatus(.aborted, "superseded by \(what) of the same robot")
        tell { $0.denied(.superseded(status)) }
    }

    private func hear(_ effects: Effects) {
        switch effects.decision {
        case .dispatch(let ticket): dispatched(ticket)
        case .wait(let old, let hopeful): wait(superseding: old, hopeful: hopeful)
        case .shed(let hint):
            shared.metrics.shed.increment()
            let limit = pool.configuration.scheduling.waitingLimit
            let what = "\(limit) requests wait for a worker already (waiting-limit)"
            tell { $0.denied(.shed(GRPCStatus(.resourceExhausted, what), hint: hint)) }
        case .giveUp(.budget):
            shared.metrics.hit(.retryShare)
            giveUp("; not repeated: too many repetitions are under way (retry-share)")
        case .giveUp(.tooLate):
            shared.metrics.hit(.retryLateness)
            giveUp("; not repeated: the robot would have run dry too long before (retry-lateness)")
        case .giveUp(.superseded): giveUp("; not repeated: a newer observation of the same robot waits")
        case nil: break
        }
    }

    private func giveUp(_ why: String) {
        tell { $0.denied(.givenUp(why)) }
    }

    private func dispatched(_ ticket: Ticket) {
        shared.metrics.dispatched.increment()
        let now = MonotonicInstant.now()
        if (machine?.record.count ?? 0) > 0 { shared.metrics.retries.increment() }
        if let dryAt = scheduled?.dryAt { shared.metrics.slack.record(dryAt - now - ticket.expected) }
        tell { $0.dispatched(ticket, at: now) }
    }

    func open(_ attempt: RequestMachine.Try) {
        guard let head else { return }
        let upstream = attempt.ticket.map { pool.upstream($0.worker) } ?? pool.control
        guard let upstream else {
            if let ticket = attempt.ticket {
                pool.change { scheduler, now in scheduler.finished(ticket, .neverSeen, at: now) }
            }
            notOpened(attempt.number, "the worker has left")
            return
        }
        let made = Attempt(self, upstream: upstream, attempt: attempt, bodyBytes: body.byteCount, shared: shared)
        if case .hedged = machine?.state { second = made } else { first = made }
        let headers = head.headers(attempt: attempt.number, at: .now())
        if !made.start(headers, body: body.parts) {
            notOpened(attempt.number, "\(upstream.name) takes no more requests")
        }
    }

    private func notOpened(_ number: Int, _ why: String) {
        tell { $0.attemptEnded(number, OutcomeTable.verdict(.notOpened), GRPCStatus(.unavailable, why)) }
    }

    // MARK: Waiting

    private func wait(superseding old: RequestID?, hopeful: Bool) {
        guard let scheduled else { return }
        waitedSince = .now()
        pool.wait(self, scheduled.id)
        shared.metrics.queued.increment()
        if let old {
            shared.metrics.superseded.increment()
            pool.supersede(old, by: scheduled.observation)
        }
        if !hopeful, machine?.record.failure == nil, let head {
            let refusal = refusal(head)
            guard refusal.code == .unavailable else {
                tell { $0.queued(hopeful: false, at: .now()) }
                tell { $0.looked(hopeful: false, otherwise: refusal, at: .now()) }
                return
            }
        }
        if !hopeful { shared.metrics.held.increment() }
        tell { $0.queued(hopeful: hopeful, at: .now()) }
    }

    func withdraw() {
        endWait()
        if let scheduled { pool.stopWaiting(scheduled.id) } else { pool.stopWaitingForControl(self) }
    }

    private func endWait() {
        guard let waitedSince else { return }
        waited += .now() - waitedSince
        self.waitedSince = nil
    }

    /// Nobody could take it for so long: it is refused. As long as somebody is only busy, it waits for its deadline.
    func look() {
        guard let head else { return }
        let isHopeful = scheduled.map { request in shared.withScheduler { $0.isHopeful(request) } } ?? false
        if !isHopeful { shared.metrics.noWorker.increment() }
        tell { [self] in $0.looked(hopeful: isHopeful, otherwise: refusal(head), at: .now()) }
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
        if let failure = machine?.record.failure { status.message += " (last attempt: \(failure.status.message))" }
        return status
    }

    // MARK: Control plane

    private func dispatchToControl() {
        if pool.control.canTake {
            endWait()
            tell { $0.dispatched(nil, at: .now()) }
            return
        }
        guard pool.waitForControl(self) else {
            if let head { tell { $0.refused(refusal(head)) } }
            return
        }
        waitedSince = .now()
        shared.metrics.held.increment()
        tell { $0.queued(hopeful: false, at: .now()) }
    }

    func controlMayBeThere() {
        guard case .waiting(.some) = machine?.state, pool.control.canTake else { return }
        pool.stopWaitingForControl(self)
        dispatchToControl()
    }
}
