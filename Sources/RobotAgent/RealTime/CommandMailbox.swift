import Dispatch
import Synchronization

/// Hands commands from the control thread to the publishing thread: preallocated rows, no allocation, no waiting.
///
/// Encoding a ROS message and waking an event loop allocate and take locks; neither may happen on the control
/// thread. When the publishing thread falls behind, the oldest command gives way and is counted.
package final class CommandMailbox: Sendable {
    /// Commands that may wait; 80 ms.
    package static let capacity = 8

    private struct Ring {
        var rows: [Float]
        var head = 0
        var count = 0
        var dropped: UInt64 = 0
    }

    private let dimensions: Int
    private let ring: Mutex<Ring>
    private let filled = DispatchSemaphore(value: 0)

    package init(dimensions: Int) {
        self.dimensions = dimensions
        ring = Mutex(Ring(rows: Array(repeating: 0, count: dimensions * Self.capacity)))
    }

    package var dropped: UInt64 { ring.withLock { $0.dropped } }

    /// Control thread.
    package func post(_ command: [Float]) {
        ring.withLock { ring in
            if ring.count == Self.capacity {
                ring.head = (ring.head + 1) % Self.capacity
                ring.count -= 1
                ring.dropped += 1
            }
            let base = (ring.head + ring.count) % Self.capacity * dimensions
            for index in 0..<dimensions { ring.rows[base + index] = command[index] }
            ring.count += 1
        }
        filled.signal()
    }

    /// Publishing thread: the oldest waiting command, or false after about `milliseconds` without one.
    package func take(into command: inout [Float], milliseconds: Int) -> Bool {
        _ = filled.wait(timeout: DispatchTime.now() + .milliseconds(milliseconds))
        return ring.withLock { ring in
            guard ring.count > 0 else { return false }
            let base = ring.head * dimensions
            for index in 0..<dimensions { command[index] = ring.rows[base + index] }
            ring.head = (ring.head + 1) % Self.capacity
            ring.count -= 1
            return true
        }
    }
}
