import GrootCore
import HTTP2

/// Whose fault the end of an attempt is, and what follows from that: the one place that says so. Pure.
///
/// Rule: what is not proven to be the caller's is a failure. `docs/scheduling.md` has the same table.
enum OutcomeTable {
    /// How an attempt on a worker ended, as its connection tells.
    enum Ending: Sendable, Equatable {
        /// A whole gRPC answer. Nil: the status is missing or no number.
        case status(Int?, pushback: Duration?)
        /// No gRPC: another HTTP status than 200, or another content type.
        case http(Int)
        /// OK, but the body is not one whole message.
        case brokenMessage
        case reset(HTTP2ErrorCode)
        /// REFUSED_STREAM from a worker that takes others.
        case refusedStream
        /// Above the last stream of a GOAWAY, or never sent.
        case neverProcessed
        /// Its connection takes no stream at all.
        case notOpened
        /// The stream ended and there was no status.
        case noStatus
        case connectionLost
        /// It fails its health checks with the request in hand.
        case unhealthy
    }

    enum Fault: String, Sendable, CaseIterable {
        case nobody
        case caller
        case worker
        case network
        /// It says that it has too much to do.
        case busy
        /// It does not have the checkpoint.
        case elsewhere
        /// The deadline passed at the worker: its own fault only when it had far more time than expected.
        case late
    }

    /// What happens to the request.
    enum Next: Sendable, Equatable {
        /// This is the answer.
        case answer
        /// Another worker is asked. `seen`: it counts against the budget of repetitions.
        case elsewhere(seen: Bool)
        /// Another worker is asked, the last one: the request may be what broke the connection.
        case elsewhereOnce
    }

    struct Verdict: Sendable, Equatable {
        var fault: Fault
        var outcome: AttemptOutcome
        var next: Next
    }

    static func verdict(_ ending: Ending) -> Verdict {
        switch ending {
        case .status(let code, let pushback): verdict(fault(ofStatus: code), pushback)
        case .refusedStream, .http(429): verdict(.busy)
        case .http, .brokenMessage, .reset, .noStatus, .unhealthy: verdict(.worker)
        case .neverProcessed: Verdict(fault: .network, outcome: .neverSeen, next: .elsewhere(seen: false))
        case .notOpened: Verdict(fault: .busy, outcome: .neverSeen, next: .elsewhere(seen: false))
        case .connectionLost: verdict(.network)
        }
    }

    /// There is one control plane: what it says is the answer, and asking it again at once costs it the same again.
    static func controlVerdict(_ ending: Ending) -> Verdict {
        if case .status = ending { return verdict(.nobody) }
        return verdict(ending)
    }

    /// The statuses of gRPC, 0 to 16; every other number, and none, is the worker's.
    static func fault(ofStatus code: Int?) -> Fault {
        switch code {
        case 0: .nobody
        // INVALID_ARGUMENT, PERMISSION_DENIED (the body speaks for another robot), ABORTED (a newer observation came).
        case 3, 7, 10: .caller
        case 4: .late
        case 5: .elsewhere
        case 8: .busy
        default: .worker
        }
    }

    private static func verdict(_ fault: Fault, _ pushback: Duration? = nil) -> Verdict {
        switch fault {
        case .nobody: Verdict(fault: fault, outcome: .answered, next: .answer)
        case .caller: Verdict(fault: fault, outcome: .declined, next: .answer)
        case .late: Verdict(fault: fault, outcome: .abandoned, next: .answer)
        case .worker: Verdict(fault: fault, outcome: .failed, next: .elsewhere(seen: true))
        case .network: Verdict(fault: fault, outcome: .failed, next: .elsewhereOnce)
        case .busy: Verdict(fault: fault, outcome: .refused(retryAfter: pushback), next: .elsewhere(seen: true))
        case .elsewhere: Verdict(fault: fault, outcome: .misplaced, next: .elsewhere(seen: false))
        }
    }
}
