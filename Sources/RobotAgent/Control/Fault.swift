import GrootCore

/// Why a session was stopped for good. Kept until the process ends.
package enum Fault: Equatable, Sendable {
    case notFinite(dimension: Int)
    /// The first way point after standing is too far from where the arm is.
    case farFromPose(dimension: Int, distance: Float)
    /// The measured pose is none that this arm can have.
    case impossiblePose(dimension: Int, value: Float)
    /// Nothing to execute for longer than its limit.
    case starved
    /// The gateway did not answer for longer than its limit.
    case linkLost
    /// No worker could serve for longer than its limit.
    case workersLost
    /// No joint state for longer than the hold limit.
    case blind
    /// The arm is not where it was commanded to be.
    case notFollowing(dimension: Int, distance: Float)
    /// A joint pushes harder than the profile allows.
    case overTorque(dimension: Int, torque: Float)
    /// Another process took this node's name: nothing is commanded and nothing handed back.
    case superseded

    /// Short name from a closed set, for records and metrics.
    package var label: String {
        switch self {
        case .notFinite: "not_finite"
        case .farFromPose: "far_from_pose"
        case .impossiblePose: "impossible_pose"
        case .starved: "starved"
        case .linkLost: "link_lost"
        case .workersLost: "workers_lost"
        case .blind: "blind"
        // An arm that pushes as hard as it may is on its way to where something else is.
        case .notFollowing, .overTorque: "not_following"
        case .superseded: "superseded"
        }
    }

    /// The arms are elsewhere than commanded: they are held where they are measured to be.
    package var isElsewhere: Bool {
        switch self {
        case .notFollowing, .overTorque: true
        default: false
        }
    }

    /// The sentence for people.
    ///
    /// - Parameters:
    ///   - names: of the joints, in the order of a command.
    ///   - limits: for the ranges and times that are named.
    package func text(names: [String], limits: SafetyGate.Limits) -> String {
        func name(_ dimension: Int) -> String {
            names.indices.contains(dimension) ? names[dimension] : "dimension \(dimension)"
        }
        let sentence =
            switch self {
            case .notFinite(let dimension): "the policy's target of \(name(dimension)) is not a number"
            case .farFromPose(let dimension, let distance):
                "the first target of \(name(dimension)) is \(distance) rad from where it is measured, "
                    + "first_action_tolerance_rad is \(limits.firstActionTolerance)"
            case .impossiblePose(let dimension, let value):
                "\(name(dimension)) reads \(value) rad, its range is \(limits.minimum[dimension]) to "
                    + "\(limits.maximum[dimension])"
            case .starved: "nothing to execute for longer than hold_ms (\(limits.hold.milliseconds) ms)"
            case .linkLost:
                "the gateway did not answer for longer than link_hold_ms (\(limits.linkHold.milliseconds) ms)"
            case .workersLost:
                "no worker could serve for longer than workers_hold_ms (\(limits.workersHold.milliseconds) ms)"
            case .blind: "the robot did not say where its joints are for longer than hold_ms"
            case .notFollowing(let dimension, let distance):
                "\(name(dimension)) is \(distance) rad from where it was commanded to be; is something in the way, was an "
                    + "emergency stop pressed?"
            case .overTorque(let dimension, let torque):
                "\(name(dimension)) pushes with \(torque) Nm, more than maximum_torque_nm allows it; is something in the way?"
            case .superseded: "another process took this agent's name and commands the robot"
            }
        return "\(label): \(sentence)"
    }
}
