import GrootCore

/// What was tried with one request, and what that leaves to try. Pure; `RequestMachine`'s, which asks nobody twice.
struct AttemptRecord: Sendable {
    /// Why the last attempt brought no answer.
    struct Failure: Sendable, Equatable {
        var status: GRPCStatus
        /// Somebody who comes up may still take it; else there is no point in waiting.
        var isHeld: Bool
    }

    /// Attempts so far.
    private(set) var count = 0
    /// Attempts that it may have in all; fewer once a connection was lost with it.
    private var limit: Int
    /// What to say when nobody is left to ask.
    private(set) var failure: Failure?
    /// Workers that it goes to no more.
    private(set) var tried: [SchedulerRequest.Tried] = []
    /// Attempts on workers that said that they do not have the checkpoint.
    private(set) var misplaced: [Ticket] = []
    /// It names a checkpoint: a worker that comes up may have it.
    private let selects: Bool

    init(limit: Int, selects: Bool) {
        self.limit = limit
        self.selects = selects
    }

    var mayRepeat: Bool { count < limit }

    /// Another one begins.
    mutating func began(_ ticket: Ticket?) -> RequestMachine.Try {
        count += 1
        return RequestMachine.Try(number: count, ticket: ticket)
    }

    mutating func failed(_ verdict: OutcomeTable.Verdict, _ status: GRPCStatus, of ended: RequestMachine.Try) {
        let isHeld = verdict.fault == .elsewhere ? selects : verdict.next != .elsewhere(seen: true)
        failure = Failure(status: status, isHeld: isHeld)
        // What the worker has not seen says nothing about it: after a GOAWAY it has another connection.
        if verdict.fault != .network || verdict.next == .elsewhereOnce {
            exclude(ended, everIncarnation: verdict.next == .elsewhereOnce)
        }
        if verdict.fault == .elsewhere, let ticket = ended.ticket { misplaced.append(ticket) }
        // It may be what broke the connection: one more attempt, or the one that is under way beside it.
        if verdict.next == .elsewhereOnce { limit = min(limit, max(count, ended.number + 1)) }
    }

    /// Its worker is down; the answer may still come, and the worker may be asked again.
    mutating func forsaken(_ status: GRPCStatus) { failure = Failure(status: status, isHeld: true) }

    /// A second worker is looked for while this one has it.
    mutating func isLate(_ running: RequestMachine.Try) { exclude(running, everIncarnation: false) }

    private mutating func exclude(_ attempt: RequestMachine.Try, everIncarnation: Bool) {
        guard let ticket = attempt.ticket else { return }
        let incarnation = everIncarnation ? nil : ticket.incarnation
        let entry = SchedulerRequest.Tried(worker: ticket.worker, incarnation: incarnation)
        if !tried.contains(entry) { tried.append(entry) }
    }
}
