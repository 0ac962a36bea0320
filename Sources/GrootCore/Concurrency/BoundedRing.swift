import Synchronization

/// A bounded first-in first-out queue that never blocks: when it is full the oldest element gives way and is counted.
///
/// Storage is allocated once, so pushing and draining into a reserved array allocate nothing. Any
/// thread may use it; the lock covers only the copy of one element.
package final class BoundedRing<Element: Sendable>: Sendable {
    private struct Ring {
        var storage: [Element?]
        var head = 0
        var count = 0
        var dropped: UInt64 = 0
    }

    package let capacity: Int
    private let ring: Mutex<Ring>

    package init(capacity: Int) {
        precondition(capacity > 0, "a ring holds at least one element")
        self.capacity = capacity
        self.ring = Mutex(Ring(storage: Array(repeating: nil, count: capacity)))
    }

    package func push(_ element: Element) {
        ring.withLock { ring in
            let capacity = ring.storage.count
            if ring.count == capacity {
                ring.storage[ring.head] = element
                ring.head = (ring.head + 1) % capacity
                ring.dropped += 1
            } else {
                ring.storage[(ring.head + ring.count) % capacity] = element
                ring.count += 1
            }
        }
    }

    package func pop() -> Element? {
        ring.withLock { ring in
            guard ring.count > 0 else { return nil }
            let element = ring.storage[ring.head]
            ring.storage[ring.head] = nil
            ring.head = (ring.head + 1) % ring.storage.count
            ring.count -= 1
            return element
        }
    }

    /// Moves everything that waits into `destination`, oldest first.
    package func drain(into destination: inout [Element]) {
        while let element = pop() { destination.append(element) }
    }

    package var count: Int { ring.withLock { $0.count } }
    /// How many elements gave way to newer ones.
    package var dropped: UInt64 { ring.withLock { $0.dropped } }
}
