import GRPCCore
import GrootAPI
package import GrootCore

/// Tells a silent gateway, a gateway without workers and a slow or busy policy apart. Pure; the uplink locks it.
///
/// Whatever is answered proves that the link is there. Silence counts while a request waits, too: a gateway that hangs says
/// nothing until the request is given up, and by then the arms have been held for long.
package struct LinkWatch: Sendable {
    /// How a request ended.
    package enum Ending: Equatable, Sendable {
        /// With an answer or a refusal of this one request.
        case answered
        /// The gateway says that no worker can serve.
        case noWorkers
        /// Without a word.
        case silent

        package init(_ error: any Error) {
            guard let error = error as? RPCError else {
                self = .answered
                return
            }
            switch error.code {
            case .deadlineExceeded: self = .silent
            case .unavailable:
                // Only a gateway counts attempts: without the count nobody answered.
                let isGateway = error.metadata[stringValues: MetadataKey.attempts].contains { _ in true }
                self = isGateway ? .noWorkers : .silent
            default: self = .answered
            }
        }
    }

    /// A request that waits for longer finds the gateway silent, until it is answered.
    package static let patience = Duration.milliseconds(500)
    /// Silent endings in a row after which the gateway counts as lost.
    package static let silencesUntilLost = 2

    /// As the endings so far tell.
    package private(set) var state = LinkState.reachable
    private var silences = 0
    private var askedAt: MonotonicInstant?

    package init() {}

    package mutating func asked(at now: MonotonicInstant) { askedAt = now }

    package mutating func ended(_ ending: Ending) {
        askedAt = nil
        switch ending {
        case .answered:
            silences = 0
            state = .reachable
        case .noWorkers:
            silences = 0
            state = .noWorkers
        case .silent:
            silences += 1
            if silences >= Self.silencesUntilLost { state = .silent }
        }
    }

    /// What the control thread is told.
    package func state(at now: MonotonicInstant) -> LinkState {
        if let askedAt, now - askedAt > Self.patience { return state == .noWorkers ? .noWorkers : .silent }
        // Between two silent endings nothing was heard either.
        return state == .reachable && silences > 0 ? .silent : state
    }
}
