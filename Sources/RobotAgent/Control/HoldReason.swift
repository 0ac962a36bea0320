/// Why the arms stand although they are wanted to move. Left by itself as soon as the reason is gone.
package enum HoldReason: UInt8, Sendable, CaseIterable {
    /// The plan has no action for this tick, and the policy could have sent one.
    case starved
    /// The plan has no action, and the gateway does not answer.
    case linkLost
    /// The plan has no action, and the gateway says that no worker can serve.
    case workersLost
    /// The action rests on an observation that is too old.
    case staleAction
    /// The robot does not say where its joints are.
    case blind
    /// Cycles were missed in one go: the plan belongs to another time.
    case clockJump
    /// Another node commands what this agent commands.
    case otherCommander
    /// Nobody listens to the commands.
    case nobodyListens
    /// An input has more than one publisher.
    case doubledInput
    /// An input cannot be believed.
    case unusableInput

    /// Name of the event, as people and alerts see it.
    package var label: String {
        switch self {
        case .starved: "starved"
        case .linkLost: "link_lost"
        case .workersLost: "workers_lost"
        case .staleAction: "stale_action"
        case .blind: "stale_joint_state"
        case .clockJump: "clock_jump"
        case .otherCommander: "other_commander"
        case .nobodyListens: "nobody_listens"
        case .doubledInput: "doubled_input"
        case .unusableInput: "unusable_input"
        }
    }

    /// A chunk is what is missing: the arms go to the last target and a new chunk ends the hold.
    package var isEndedByChunk: Bool {
        switch self {
        case .starved, .linkLost, .workersLost, .staleAction: true
        default: false
        }
    }

    /// While it lasts nothing is published once the arms stand: the topic is another node's, or nobody's.
    package var isQuiet: Bool { self == .otherCommander || self == .nobodyListens }

    /// What forbids motion by itself, the most telling one first.
    package static func obstacle(_ interlocks: Interlocks, isStateStale: Bool) -> HoldReason? {
        if interlocks.contains(.otherCommander) { return .otherCommander }
        if interlocks.contains(.nobodyListens) { return .nobodyListens }
        if interlocks.contains(.doubledInput) { return .doubledInput }
        if interlocks.contains(.unusableInput) { return .unusableInput }
        if isStateStale || interlocks.contains(.blind) { return .blind }
        return nil
    }
}
