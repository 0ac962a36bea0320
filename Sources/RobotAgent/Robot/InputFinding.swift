import Logging

/// An input of the agent: what the robot measures.
package enum RobotInput: Sendable, Hashable {
    case joints
    case claws
    /// By its LeRobot key.
    case camera(String)
    case extra(ObservationBuffers.Extra)
}

/// One way in which the robot is not what the agent needs, in words for whoever can change it.
package struct InputFinding: Sendable, Hashable {
    /// A closed set: names of events and values of labels.
    package enum Kind: String, Sendable, CaseIterable {
        /// Nobody publishes it, or nothing comes.
        case silent
        /// Messages come, but stamps or values stand still.
        case frozen
        /// Type or fingerprint is not one that this agent decodes.
        case unknownType = "unknown_type"
        /// Its content cannot be used: wrong count, an encoding that is no colour picture, a broken file.
        case unreadable
        /// A value that cannot be measured: outside of the range of its joint or claw, or not finite.
        case outOfRange = "out_of_range"
        /// The encoders do not measure yet.
        case notReady = "not_ready"
        /// Stamps that fit no clock.
        case badStamps = "bad_stamps"
        /// More than one node publishes it.
        case doubled
        /// Another node publishes on a topic that this agent commands.
        case otherCommander = "other_commander"
        /// No controller subscribes to a topic that this agent commands.
        case nobodyListens = "nobody_listens"
        /// Another process took this node's name.
        case superseded
    }

    package var kind: Kind
    package var topic: String
    /// What is wrong: who, which joint, which value.
    package var what: String
    /// What to do about it.
    package var remedy: String
    /// What it forbids while the arms move.
    package var interlocks: Interlocks

    package init(_ kind: Kind, _ topic: String, _ what: String, _ remedy: String, _ interlocks: Interlocks = []) {
        self.kind = kind
        self.topic = topic
        self.what = what
        self.remedy = remedy
        self.interlocks = interlocks
    }

    package var sentence: String { "\(topic): \(what); \(remedy)" }

    /// How a start is refused.
    package var refusal: AgentError.Code {
        switch kind {
        case .unknownType, .unreadable: .mismatch
        case .outOfRange, .notReady: .safety
        default: .unavailable
        }
    }
}

/// Something worth knowing that forbids nothing; said once.
package struct InputNotice: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        /// The publisher leaves its stamps empty: arrival counts.
        case unstamped
        /// The publisher's clock was set.
        case clockStepped = "clock_stepped"
        case imageSizeChanged = "image_size_changed"
        /// Another publisher took over after the first was gone.
        case publisherChanged = "publisher_changed"
    }

    package var kind: Kind
    package var topic: String
    package var what: String

    package init(_ kind: Kind, _ topic: String, _ what: String) {
        self.kind = kind
        self.topic = topic
        self.what = what
    }

    package var sentence: String { "\(topic): \(what)" }
}

/// What changed in the contract since it was looked at last.
package enum InputChange: Sendable, Hashable {
    case raised(InputFinding)
    case cleared(InputFinding)
    case noticed(InputNotice)
}

extension InputChange {
    /// From a closed set.
    package var name: String {
        switch self {
        case .raised(let finding): finding.kind.rawValue
        case .cleared(let finding): finding.kind.rawValue + "_over"
        case .noticed(let notice): notice.kind.rawValue
        }
    }

    package var sentence: String {
        switch self {
        case .raised(let finding): finding.sentence
        case .cleared(let finding): "\(finding.topic): well again (\(finding.what))"
        case .noticed(let notice): notice.sentence
        }
    }

    var level: Logger.Level {
        if case .cleared = self { return .info }
        return .warning
    }
}
