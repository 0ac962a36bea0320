import GrootCore

/// What one subscriber of a direct topic has not taken yet: at most the rest of one message. Pure.
///
/// A message that the socket takes in part is completed before the next begins. Messages that come meanwhile are left out,
/// since an old command is worth nothing; a subscriber that stays behind for longer than `patience` is given up.
struct SubscriberBacklog: Sendable {
    enum Outcome: Equatable, Sendable {
        /// The message is on its way, if only in part.
        case sent
        /// The message was left out.
        case leftOut
        /// This and all further messages are left out; reported once.
        case gaveUp
        /// The connection is broken; reported once.
        case broken
        /// Given up or broken before.
        case over
    }

    /// How long a subscriber may take nothing before it is given up.
    static let patience = Duration.seconds(1)

    /// What is missing of a message, from `restStart` on. Keeps its memory.
    private var rest: [UInt8] = []
    private var restStart = 0
    private var behindSince: MonotonicInstant?
    private var isOver = false
    private(set) var isGivenUp = false

    /// - Parameter frameBytes: memory is set aside for frames of this size.
    init(frameBytes: Int) {
        rest.reserveCapacity(frameBytes)
    }

    /// Offers a whole frame. `write` takes bytes and returns how many it took, or nil when the connection is broken.
    mutating func offer(_ frame: Span<UInt8>, at now: MonotonicInstant, write: (Span<UInt8>) -> Int?) -> Outcome {
        guard !isOver else { return .over }
        if restStart < rest.count {
            guard let count = write(rest.span.extracting(droppingFirst: restStart)) else { return broke() }
            restStart += count
            guard restStart == rest.count else { return late(now) }
        }
        guard let count = write(frame) else { return broke() }
        guard count > 0 else { return late(now) }
        behindSince = nil
        if count < frame.count { keep(frame.extracting(droppingFirst: count)) }
        return .sent
    }

    private mutating func keep(_ bytes: Span<UInt8>) {
        rest.removeAll(keepingCapacity: true)
        restStart = 0
        for index in bytes.indices { rest.append(bytes[index]) }
    }

    private mutating func late(_ now: MonotonicInstant) -> Outcome {
        let since = behindSince ?? now
        behindSince = since
        guard now - since >= Self.patience else { return .leftOut }
        isOver = true
        isGivenUp = true
        return .gaveUp
    }

    private mutating func broke() -> Outcome {
        isOver = true
        return .broken
    }
}
