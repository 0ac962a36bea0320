/// Pauses between attempts: doubling from 0.1 s to 2 s, back to the start after a success.
struct RetryBackoff: Sendable, Hashable {
    static let first = Duration.milliseconds(100)
    static let longest = Duration.seconds(2)

    private var next = first

    /// The pause before the next attempt after a failure.
    mutating func pause() -> Duration {
        defer { next = min(next * 2, Self.longest) }
        return next
    }

    mutating func succeeded() {
        next = Self.first
    }
}
