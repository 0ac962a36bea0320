import GrootAPI
import GrootCore
import HTTP2
import NIOCore

/// One request of a robot: takes its body in, asks the scheduler for a worker, passes the answer on.
///
/// The handler of the robot's stream. Confined to the event loop. It reads headers and the frame of the message only.
/// What happens when is `RequestMachine`'s decision; this class carries it out: `ProxyRequest+Dispatch.swift` finds a
/// worker, `ProxyRequest+Answering.swift` answers, `ProxyRequest+Accounting.swift` counts.
final class ProxyRequest: HTTP2StreamHandler {
    let stream: HTTP2Stream
    let pool: UpstreamPool
    let shared: GatewayShared
    let startedAt = MonotonicInstant.now()
    let connection: ConnectionPeer
    var head: RequestHead?
    /// Nil until the head is accepted.
    var machine: RequestMachine?
    /// Nil for control-plane calls.
    var scheduled: SchedulerRequest?
    var body = HeldBody()
    var first: Attempt?
    /// A second attempt beside the first; the first to answer wins.
    var second: Attempt?
    /// Whom it counts against: the robot that is named, and whoever is connected.
    var robot: Participant?
    var peer: Participant?
    var taken = Taken()
    var waitedSince: MonotonicInstant?
    var waited = Duration.zero
    /// Its place among the loop's open requests; nil when it has none.
    var openIndex: Int?
    var robotClass: GatewayMetrics.RobotClass?
    var finalStatus: (code: Int, message: String?)?
    var answeredBy: String?
    var bytesOut = 0

    init(stream: HTTP2Stream, pool: UpstreamPool, connection: ConnectionPeer) {
        self.stream = stream
        self.pool = pool
        self.shared = pool.shared
        self.connection = connection
    }

    // MARK: What the robot does

    func received(headers: HTTP2Headers) {
        if let order = shared.orders?.answer(headers, from: stream.peer) {
            respond(to: order)
            return
        }
        do throws(RequestHead.Refusal) {
            let head = try RequestHead(
                headers,
                from: stream.peer,
                at: startedAt,
                configuration: pool.configuration
            )
            accept(head)
        } catch {
            refuse(error)
        }
    }

    private func accept(_ head: RequestHead) {
        self.head = head
        if head.route != .control { scheduled = head.schedulerRequest(pool.nextID(), at: startedAt) }
        machine = RequestMachine(
            rules: pool.configuration.rules,
            dryAt: scheduled?.dryAt,
            selects: head.checkpoint != nil,
            deadline: head.deadline,
            at: startedAt
        )
        if let status = takeBudgets(head) {
            tell { $0.refused(status) }
            return
        }
        count(head)
        guard head.deadline > startedAt else {
            timePassed(at: startedAt)
            return
        }
        if let machine { pool.opened(self, until: machine.wakeAt) }
    }

    func received(body part: ByteBuffer) {
        shared.metrics.bytesIn.increment(by: UInt64(part.readableBytes))
        guard machine?.isEnded == false else { return }
        if let status = hold(part) {
            tell { $0.refused(status) }
            return
        }
        machine?.bodyArrived(part.readableBytes)
        // Credit at once: what it may send is bounded by its budgets, not by the speed of a worker.
        stream.consumed(part.readableBytes)
    }

    func received(trailers: HTTP2Headers) {
        // gRPC clients send none; nothing depends on them.
    }

    func receivedEnd() {
        if let problem = body.frame.problem, machine?.isEnded == false {
            shared.metrics.refused.increment()
            tell { $0.refused(GRPCStatus(.invalidArgument, "the request is malformed: \(problem)")) }
            return
        }
        tell { $0.bodyEnded() }
    }

    func bodyLeft(byteCount: Int) {
        shared.metrics.bytesOut.increment(by: UInt64(byteCount))
        bytesOut += byteCount
        first?.consumed(byteCount)
        second?.consumed(byteCount)
    }

    func closed(_ closure: HTTP2StreamClosure) {
        if machine?.isEnded == false {
            shared.metrics.cancelled.increment()
            tell { $0.robotLeft() }
        }
        pool.closed(self)
        first = nil
        second = nil
        releaseBody()
        leaveBudgets()
        let took = MonotonicInstant.now() - startedAt
        shared.metrics.requestTime.record(took)
        robotClass?.time.record(took)
        log(took, closure)
    }

    // MARK: What the attempts report

    func answerBegan(_ attempt: Attempt) {
        if attempt === second { shared.metrics.hedgesWon.increment() }
        tell { $0.answerBegan(attempt.number) }
    }

    func answerEnded(_ attempt: Attempt) {
        tell { $0.answerEnded(attempt.number) }
    }

    func attemptEnded(_ attempt: Attempt, _ verdict: OutcomeTable.Verdict, _ status: GRPCStatus) {
        if attempt === second, verdict.next == .answer { shared.metrics.hedgesWon.increment() }
        tell { $0.attemptEnded(attempt.number, verdict, status) }
    }

    func workerWentDown(_ attempt: Attempt) {
        guard let scheduled, let ticket = attempt.ticket else { return }
        var elsewhere = scheduled
        elsewhere.tried = machine?.record.tried ?? []
        elsewhere.tried.append(.init(worker: ticket.worker, incarnation: ticket.incarnation))
        let isHopeful = shared.withScheduler { $0.isHopeful(elsewhere) }
        let why = GRPCStatus(.unavailable, "\(attempt.upstream.name) stopped answering health checks")
        tell { $0.workerWentDown(attempt.number, elsewhere: isHopeful, why, at: .now()) }
    }

    // MARK: Time

    /// Called by the pool, perhaps again while the robot does not take its answer.
    func timePassed(at now: MonotonicInstant) {
        guard let head else { return }
        let isUploading = if case .receiving = machine?.state { true } else { false }
        if now >= head.deadline, machine?.isEnded == false { shared.metrics.deadline.increment() }
        tell { [self] in $0.timePassed(at: now, waitingFor: { waitingReason(head) }) }
        guard isUploading, machine?.isEnded == true, now < head.deadline else { return }
        let tookTooLong = now - startedAt >= pool.configuration.uploadTimeout
        shared.hit(tookTooLong ? .uploadTimeout : .uploadRate, robot?.name ?? peer?.name ?? "somebody")
    }

    // MARK: The machine

    func tell(_ event: (inout RequestMachine) -> [RequestMachine.Action]) {
        guard var machine else { return }
        let before = machine.wakeAt
        // The machine is back in its place before anything is carried out: that may lead to further events.
        let actions = event(&machine)
        self.machine = machine
        if machine.wakeAt != before, openIndex != nil { pool.changed(self, until: machine.wakeAt) }
        for action in actions { carryOut(action) }
    }

    private func carryOut(_ action: RequestMachine.Action) {
        switch action {
        case .schedule: schedule()
        case .reschedule(let unseen): reschedule(unseen: unseen)
        case .askHedge: askHedge()
        case .open(let attempt): open(attempt)
        case .giveBack(let ticket):
            pool.change { scheduler, now in scheduler.finished(ticket, .neverSeen, at: now) }
        case .contradict(let ticket):
            let named = head?.checkpoint != nil
            pool.change { scheduler, now in scheduler.contradicted(ticket, named: named, at: now) }
        case .cancel(let number, let outcome): attempt(number)?.cancel(outcome)
        case .withdraw: withdraw()
        case .look: look()
        case .uploaded: uploaded()
        case .passOn(let number): passOn(number)
        case .deliver(let number): deliver(number)
        case .finish: stream.finish()
        case .answer(let status, let hint): answer(status, hint: hint)
        case .cutOff(let status): cutOff(status)
        case .reset: stream.reset(.cancel)
        }
    }

    func attempt(_ number: Int) -> Attempt? {
        if first?.number == number { return first }
        return second?.number == number ? second : nil
    }
}
