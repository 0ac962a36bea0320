package import GrootCore

/// Which of several gateways gets the next request. Pure; the owner locks it.
///
/// Requests stay with one gateway until it fails, because the gateway's queue keeps a robot's place. A failed
/// one is left at once and is a candidate again after `retry`.
package struct GatewayChoice: Sendable, Equatable {
    /// Time for which a failed gateway is avoided while another one may work.
    package static let retry = Duration.seconds(2)

    private var failedAt: [MonotonicInstant?]
    private(set) package var current = 0

    package init(count: Int) {
        precondition(count > 0, "a robot has at least one gateway")
        failedAt = Array(repeating: nil, count: count)
    }

    /// Another gateway that did not fail lately; nil when there is none.
    package func alternative(to index: Int, at now: MonotonicInstant) -> Int? {
        order(after: index).first { isHealthy($0, at: now) }
    }

    package mutating func succeeded(_ index: Int) {
        failedAt[index] = nil
    }

    /// - Returns: true when requests now go to another gateway.
    package mutating func failed(_ index: Int, at now: MonotonicInstant) -> Bool {
        failedAt[index] = now
        guard index == current, failedAt.count > 1 else { return false }
        // When all have failed the one that failed longest ago is as good a guess as any.
        current =
            alternative(to: index, at: now)
            ?? order(after: index).min { (failedAt[$0] ?? now) < (failedAt[$1] ?? now) } ?? index
        return current != index
    }

    private func order(after index: Int) -> [Int] {
        (1..<failedAt.count).map { (index + $0) % failedAt.count }
    }

    private func isHealthy(_ index: Int, at now: MonotonicInstant) -> Bool {
        failedAt[index].map { now - $0 >= Self.retry } ?? true
    }
}
