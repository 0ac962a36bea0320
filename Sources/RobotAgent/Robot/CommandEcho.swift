import Dispatch
import GrootCore
import ROS1
import Synchronization

/// Hands the commands that left to a recording: preallocated rows from the control thread, a thread of its own behind them.
///
/// Encoding a record allocates and writing it takes locks; neither may happen on the control thread. When the recording
/// falls behind, its oldest command gives way and is counted: the robot got it, the file did not.
final class CommandEcho: Sendable {
    /// Commands that may wait: about a second.
    static let capacity = 128
    private static let pause = DispatchTimeInterval.milliseconds(100)

    /// When and as what a command left.
    struct Mark: Sendable {
        var header = ROSHeader()
        var sentAt = MonotonicInstant(nanoseconds: 0)
    }

    private struct Ring {
        var rows: [Float]
        var marks = Array(repeating: Mark(), count: CommandEcho.capacity)
        var head = 0
        var count = 0
        var lost: UInt64 = 0
        var isOver = false
    }

    private enum Next { case command, nothing, over }

    private let dimensions: Int
    private let ring: Mutex<Ring>
    private let filled = DispatchSemaphore(value: 0)

    init(dimensions: Int) {
        self.dimensions = dimensions
        ring = Mutex(Ring(rows: Array(repeating: 0, count: dimensions * Self.capacity)))
    }

    /// Starts the recording's thread, which ends after `finish` with the last command.
    func start(_ take: @escaping @Sendable ([Float], Mark) -> Void) throws(AgentError) {
        try RealTimeThread.start("groot-echo") { [self] in
            var command = Array(repeating: Float(0), count: dimensions)
            var mark = Mark()
            while true {
                _ = filled.wait(timeout: .now() + Self.pause)
                switch next(&command, &mark) {
                case .command: take(command, mark)
                case .nothing: break
                case .over: return
                }
            }
        }
    }

    func finish() { ring.withLock { $0.isOver = true } }

    /// Commands that the recording was too late for.
    var lostCount: UInt64 { ring.withLock { $0.lost } }

    /// Control thread.
    func sent(_ command: [Float], _ mark: Mark) {
        ring.withLock { ring in
            if ring.count == Self.capacity {
                ring.head = (ring.head + 1) % Self.capacity
                ring.count -= 1
                ring.lost += 1
            }
            let place = (ring.head + ring.count) % Self.capacity
            for index in 0..<dimensions { ring.rows[place * dimensions + index] = command[index] }
            ring.marks[place] = mark
            ring.count += 1
        }
        filled.signal()
    }

    private func next(_ command: inout [Float], _ mark: inout Mark) -> Next {
        ring.withLock { ring in
            guard ring.count > 0 else { return ring.isOver ? .over : .nothing }
            for index in 0..<dimensions { command[index] = ring.rows[ring.head * dimensions + index] }
            mark = ring.marks[ring.head]
            ring.head = (ring.head + 1) % Self.capacity
            ring.count -= 1
            return .command
        }
    }
}
