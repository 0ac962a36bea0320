/// What one control tick knows of the world outside: the only way by which the robot reaches the control loop.
///
/// Owned by the control thread, which hands the same value to `ControlThread.Sense` at every tick: its arrays are allocated
/// once and overwritten in place, so that the closure neither allocates nor blocks.
package struct ControlInputs: Sendable {
    /// Age of the newest joint state; nil when there never was one.
    package var stateAge: Duration?
    /// What forbids motion, as the input contract sees the robot.
    package var interlocks: Interlocks = []
    /// Whether chunks can be had at all; written by the uplink.
    package var link = LinkState.reachable
    /// Measured pose in the order of a command: arms (rad), claws (0 to 100), zeros for what is not measured.
    package var measured: [Float]
    /// Whether `measured` was filled at this tick.
    package var isMeasured = false
    /// Measured torque of each arm joint, Nm.
    package var torque: [Float]
    /// Whether `torque` was filled at this tick.
    package var hasTorque = false

    package init(dimensions: Int, arms: Range<Int>) {
        measured = Array(repeating: 0, count: dimensions)
        torque = Array(repeating: 0, count: arms.count)
    }
}
