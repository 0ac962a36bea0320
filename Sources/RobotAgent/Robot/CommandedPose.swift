import Synchronization

/// The arms as they were commanded last, for the input contract: preallocated, copied in place.
///
/// Written by the control thread, read by the task that watches the inputs.
final class CommandedPose: Sendable {
    private struct Pose {
        var arms: [Float]
        var isSet = false
    }

    private let pose: Mutex<Pose>

    init(arms: Int) {
        pose = Mutex(Pose(arms: Array(repeating: 0, count: arms)))
    }

    /// Allocates nothing.
    func commanded(_ command: [Float]) {
        pose.withLock { pose in
            guard command.count >= pose.arms.count else { return }
            for index in pose.arms.indices { pose.arms[index] = command[index] }
            pose.isSet = true
        }
    }

    /// Nil before the first command.
    var newest: [Float]? {
        pose.withLock { pose in
            guard pose.isSet else { return nil }
            // A copy of its own, so that writing in place stays free of allocation.
            return pose.arms.map { $0 }
        }
    }
}
