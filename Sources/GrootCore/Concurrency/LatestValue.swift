import Synchronization

/// One slot that always holds the newest value; older ones are overwritten and counted.
///
/// Any thread may write or read. The lock covers only the exchange of the value, never I/O, so the
/// control thread may use it.
package final class LatestValue<Value: Sendable>: Sendable {
    private struct Slot {
        var value: Value?
        var version: UInt64 = 0
        var overwritten: UInt64 = 0
        var unread = false
    }

    private let slot = Mutex(Slot())

    package init() {}

    package func store(_ value: Value) {
        slot.withLock { slot in
            if slot.unread { slot.overwritten += 1 }
            slot.value = value
            slot.version += 1
            slot.unread = true
        }
    }

    /// Returns the newest value and leaves it in place.
    package func peek() -> Value? {
        slot.withLock { $0.value }
    }

    /// Returns the newest value if nobody took it yet, and empties the slot.
    package func take() -> Value? {
        slot.withLock { slot in
            defer {
                slot.value = nil
                slot.unread = false
            }
            return slot.value
        }
    }

    /// How many values were replaced before anyone took them.
    package var overwritten: UInt64 { slot.withLock { $0.overwritten } }
    /// Counts stores; lets a reader see that something new arrived.
    package var version: UInt64 { slot.withLock { $0.version } }
}
