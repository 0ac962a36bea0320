import Synchronization

/// Bytes that the connections of one listener hold together, against one limit. Any thread.
final class ByteQuota: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    var usedBytes: Int { used.load(ordering: .relaxed) }

    /// Takes bytes; false, and nothing taken, when that would exceed the limit.
    func take(_ byteCount: Int) -> Bool {
        let after = used.add(byteCount, ordering: .relaxed).newValue
        if after <= limit { return true }
        give(back: byteCount)
        return false
    }

    func give(back byteCount: Int) {
        used.subtract(byteCount, ordering: .relaxed)
    }
}
