import Synchronization

/// The newest measured pose for the control thread: preallocated, copied in place, never waited for longer than a copy.
///
/// Written by ROS callbacks, read by the control thread at every tick.
final class MeasuredPose: Sendable {
    private struct Pose {
        var arms: [Float]
        var claws: [Float]
        var torque: [Float]
        var hasArms = false
        var hasClaws = false
        var hasTorque = false
    }

    private let pose: Mutex<Pose>

    init(arms: Int, claws: Int) {
        let zeros = [Float](repeating: 0, count: arms)
        pose = Mutex(Pose(arms: zeros, claws: Array(repeating: 0, count: claws), torque: zeros))
    }

    /// - Parameter torque: of each arm joint; empty when the robot does not say.
    func armsMeasured(_ values: [Float], torque: [Float] = []) {
        pose.withLock { pose in
            guard values.count == pose.arms.count else { return }
            for index in values.indices { pose.arms[index] = values[index] }
            pose.hasArms = true
            pose.hasTorque = torque.count == pose.torque.count
            if pose.hasTorque { for index in torque.indices { pose.torque[index] = torque[index] } }
        }
    }

    func clawsMeasured(_ values: [Float]) {
        pose.withLock { pose in
            guard values.count == pose.claws.count else { return }
            for index in values.indices { pose.claws[index] = values[index] }
            pose.hasClaws = true
        }
    }

    /// Control thread: overwrites the arms and claws of `inputs`.
    func read(into inputs: inout ControlInputs) {
        pose.withLock { pose in
            inputs.isMeasured = pose.hasArms && pose.hasClaws
            inputs.hasTorque = pose.hasTorque
            guard inputs.measured.count >= pose.arms.count + pose.claws.count else { return }
            for index in pose.arms.indices { inputs.measured[index] = pose.arms[index] }
            for index in pose.claws.indices { inputs.measured[pose.arms.count + index] = pose.claws[index] }
            guard pose.hasTorque, inputs.torque.count == pose.torque.count else { return }
            for index in pose.torque.indices { inputs.torque[index] = pose.torque[index] }
        }
    }
}
