/// Decides what is worth a warning when connections to one publisher end: a kind of trouble is said once, until a
/// connection has stood for a while.
///
/// Pure; owned by the task that follows the publisher.
struct ConnectionTrouble: Sendable {
    /// A connection that lasted this long was a working one.
    static let standing = Duration.seconds(5)

    private enum Kind: Hashable {
        case brokeOff
        case refused(ROSError.Code)
    }

    private var said: Set<Kind> = []

    /// The connection ended, or never came about (`lasted` is nil); returns what to say.
    mutating func ended(after lasted: Duration?, because error: ROSError?) -> String? {
        if let lasted, lasted >= Self.standing { said = [] }
        let kind: Kind = lasted != nil ? .brokeOff : .refused(error?.code ?? .unreachable)
        guard said.insert(kind).inserted else { return nil }
        guard let lasted else { return "no connection to a publisher" }
        // A publisher that stops closes its connections, too; the master then takes it off the list.
        return lasted < Self.standing
            ? "a publisher breaks its connections off" : "the connection to a publisher ended"
    }
}
