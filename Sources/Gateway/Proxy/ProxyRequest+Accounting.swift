import GrootCore
import HTTP2
import NIOCore
import Synchronization

/// What a request has of its robot's and its peer's budgets.
struct Taken {
    var streams = 0
    var uploads = 0
    var heldBytes = 0

    subscript(budget: Participant.Budget) -> Int {
        get {
            switch budget {
            case .connections: 0
            case .streams: streams
            case .uploads: uploads
            case .heldBytes: heldBytes
            }
        }
        set {
            switch budget {
            case .connections: break
            case .streams: streams = newValue
            case .uploads: uploads = newValue
            case .heldBytes: heldBytes = newValue
            }
        }
    }
}

/// What a request holds in memory, and what is counted and logged of it.
extension ProxyRequest {
    /// Takes what a request needs of its robot's and its peer's budgets; says which one is used up.
    func takeBudgets(_ head: RequestHead) -> GRPCStatus? {
        guard let peer = connection.participant else { return nil }
        self.peer = peer
        if let name = head.robot, !peer.isRobot, name.utf8.count <= RequestHead.longestName {
            robot = shared.participants.enter("robot \(name)", isRobot: true)
        }
        for budget in [Participant.Budget.streams, .uploads] {
            if let status = take(1, of: budget) { return status }
        }
        return nil
    }

    /// The robot first, then whoever is connected: nothing is taken when either has no more.
    private func take(_ amount: Int, of budget: Participant.Budget) -> GRPCStatus? {
        if let robot, let refusal = take(amount, of: budget, from: robot) { return refusal }
        if let peer, let refusal = take(amount, of: budget, from: peer) {
            robot?.giveBack(amount, of: budget)
            return refusal
        }
        taken[budget] += amount
        return nil
    }

    private func take(_ amount: Int, of budget: Participant.Budget, from participant: Participant) -> GRPCStatus? {
        let limit = pool.configuration.limits(of: participant)[budget]
        guard !participant.take(amount, of: budget, limit: limit) else { return nil }
        let reached = GatewayLimit.of(budget, isRobot: participant.isRobot)
        shared.hit(reached, participant.name)
        let what = "\(participant.name) has more in hand than it may: \(limit) (\(reached.rawValue))"
        return GRPCStatus(.resourceExhausted, what)
    }

    private func giveBack(_ budget: Participant.Budget) {
        let amount = taken[budget]
        guard amount > 0 else { return }
        taken[budget] = 0
        robot?.giveBack(amount, of: budget)
        peer?.giveBack(amount, of: budget)
    }

    func leaveBudgets() {
        giveBack(.uploads)
        giveBack(.streams)
        if let robot { shared.participants.leave(robot) }
        robot = nil
    }

    func uploaded() { giveBack(.uploads) }

    /// Keeps a part of the body; says which limit forbids it.
    func hold(_ part: ByteBuffer) -> GRPCStatus? {
        let count = part.readableBytes
        body.append(part)
        let total = note(held: count)
        if body.exceeds(pool.configuration.bodyLimit) {
            shared.metrics.hit(.bodySize)
            return RequestHead.tooLarge(pool.configuration.bodyLimit)
        }
        if let announced = body.frame.announcedBytes, body.byteCount > announced {
            shared.metrics.refused.increment()
            return GRPCStatus(.invalidArgument, "the request is malformed: the body holds more than one message")
        }
        if total > pool.configuration.heldBytesLimit {
            shared.metrics.hit(.heldBytes)
            return GRPCStatus(.resourceExhausted, "the gateway holds too many request bytes (held-bytes)")
        }
        return take(count, of: .heldBytes)
    }

    func releaseBody() {
        let held = body.heldBytes
        guard held > 0 else { return }
        body.release()
        giveBack(.heldBytes)
        note(held: -held)
    }

    @discardableResult
    private func note(held bytes: Int) -> Int {
        let total = shared.heldBytes.add(bytes, ordering: .relaxed).newValue
        shared.metrics.heldBytes.set(Double(total))
        return total
    }

    func count(_ head: RequestHead) {
        guard head.route == .inference(method: "Infer") else { return }
        let instruments = shared.metrics.robotClass(head.robotClass)
        instruments.requests.increment()
        if head.runway == .zero { instruments.dry.increment() }
        robotClass = instruments
    }

    func log(_ took: Duration, _ closure: HTTP2StreamClosure) {
        let status = finalStatus?.code ?? 1
        guard shared.accessLog.admits(status: status, at: startedAt + took) else { return }
        shared.accessLog.write(
            AccessLog.Entry(
                requestID: head?.requestID,
                robot: head?.robot,
                checkpoint: head?.checkpoint,
                worker: answeredBy,
                traceparent: head?.traceparent,
                status: status,
                message: finalStatus?.message ?? (finalStatus == nil ? "\(closure.cause), \(closure.code)" : nil),
                attempts: machine?.record.count ?? 0,
                waited: waited,
                took: took,
                runway: head?.runway,
                bytesIn: body.byteCount,
                bytesOut: bytesOut
            )
        )
    }
}
