package import GrootCore
package import ROS1

/// What must be true of the robot's inputs and of the topics that this agent commands, before and while the arms move.
///
/// Nothing is believed because bytes arrive: every message is judged by who sent it, when it was made and what it says,
/// and only then used. `run` and `check` feed the same events into this machine, so that they never disagree. Pure; owned by
/// `RobotInputs` behind its lock. The tables of what it finds are in docs/safety.md; `InputContractTests` goes through every
/// input with every fault.
package struct InputContract: Sendable {
    /// One input as the profile and the policy want it.
    package struct Demand: Sendable {
        package var input: RobotInput
        package var topic: String
        /// Without a usable message for this long the input is silent.
        package var staleAfter: Duration
        /// What silence forbids while the arms move.
        package var silence: Interlocks
        /// Whether the policy uses it; what is wrong with another input prevents nothing.
        package var isNeeded: Bool

        package init(
            _ input: RobotInput,
            _ topic: String,
            staleAfter: Duration,
            silence: Interlocks,
            isNeeded: Bool = true
        ) {
            self.input = input
            self.topic = topic
            self.staleAfter = staleAfter
            self.silence = silence
            self.isNeeded = isNeeded
        }
    }

    /// The value of one dimension: its name and what it can be.
    package struct Measurable: Sendable {
        package var name: String
        package var range: ClosedRange<Float>
        /// How far beyond it a measurement may be.
        package var margin: Float

        package init(name: String, range: ClosedRange<Float>, margin: Float) {
            self.name = name
            self.range = range
            self.margin = margin
        }
    }

    package struct Configuration: Sendable {
        package var demands: [Demand] = []
        package var joints: [Measurable] = []
        package var claws: [Measurable] = []
        /// Topics that this agent commands.
        package var commands: [String] = []

        package init() {}
    }

    /// One commanded topic as the graph shows it; nodes that are registered and dead do not count.
    package struct CommandTopic: Sendable, Hashable {
        package var topic: String
        /// Other nodes that publish it.
        package var others: [String]
        /// Nodes that can be its controller.
        package var listeners: [String]
        /// Subscribers that are connected to this node; nil before it offers the topic.
        package var connected: Int?
        /// How many were connected while the listeners were known.
        fileprivate var witnessed = 0

        package init(topic: String, others: [String], listeners: [String], connected: Int? = nil) {
            self.topic = topic
            self.others = others
            self.listeners = listeners
            self.connected = connected
        }
    }

    /// Commands that moved this far (rad) while no joint's measurement changed at all mean that the measurement stands.
    package static let standstillMotion: Float = 0.05
    /// Clocks of two publishers that are this close (nanoseconds) are one: the faster stream tells it better.
    static let oneClock: Int64 = 35_000_000
    /// Largest picture that is read.
    package static let maximumPixels = 3840 * 2160

    package let configuration: Configuration
    private(set) var tracks: [RobotInput: InputTrack] = [:]
    private var commands: [String: CommandTopic] = [:]
    private var isSuperseded = false
    private var standstill = StandstillDetector()
    private var standing: [InputFinding] = []
    private var notices: [InputNotice] = []

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        for demand in configuration.demands { tracks[demand.input] = InputTrack(demand) }
    }

    // MARK: What happens

    package mutating func publisherChanged(_ event: ROSPublisherEvent, of input: RobotInput, at now: MonotonicInstant) {
        tracks[input]?.roster.changed(event, at: now)
    }

    /// Judges one message.
    ///
    /// - Parameter stamp: nanoseconds on the publisher's clock; nil for messages that have no stamp.
    /// - Returns: when it was made, on this machine's clock; nil when nothing of it may be used.
    package mutating func arrived(
        _ content: InputContent,
        on input: RobotInput,
        from publisher: String,
        stamp: Int64?,
        at now: MonotonicInstant
    ) -> MonotonicInstant? {
        guard tracks[input] != nil else { return nil }
        let flaw = flaw(of: content, input)
        let captured = tracks[input]?.arrived(flaw, from: publisher, stamp: stamp, at: now, &notices)
        guard var captured else { return nil }
        if stamp != nil, stamp != 0 { captured = captured.advanced(by: .zero - lead(of: input)) }
        switch content {
        case .joints(let values, let total):
            standstill.measured(values, at: now)
            tracks[input]?.counted(total)
        case .values(_, let total): tracks[input]?.counted(total)
        case .picture(let form): tracks[input]?.pictured(form, &notices)
        case .unusable: break
        }
        return captured
    }

    /// The arms (rad) as they were commanded last; nil while nothing is commanded.
    package mutating func commanded(_ arms: [Float]?, at now: MonotonicInstant) {
        standstill.commanded(arms, at: now)
    }

    package mutating func commandsSeen(_ topics: [CommandTopic]) {
        for var topic in topics {
            let before = commands[topic.topic]
            topic.connected = topic.connected ?? before?.connected
            topic.witnessed = topic.connected ?? 0
            // A master that was started again knows nobody, and a busy node answers late: connections that stand prove more.
            if topic.listeners.isEmpty, let before, topic.witnessed > 0, topic.witnessed >= before.witnessed {
                topic.listeners = before.listeners
                topic.witnessed = before.witnessed
            }
            commands[topic.topic] = topic
        }
    }

    /// How many subscribers of a commanded topic are connected to this node.
    package mutating func subscribersConnected(_ count: Int, to topic: String) {
        guard var known = commands[topic] else { return }
        known.connected = count
        known.witnessed = max(known.witnessed, count)
        commands[topic] = known
    }

    package mutating func superseded() { isSuperseded = true }

    // MARK: What is so

    /// Everything that is wrong with needed inputs and with commands at `now`.
    package func findings(at now: MonotonicInstant) -> [InputFinding] {
        findings(at: now) { $0.isNeeded }
    }

    /// What is wrong with inputs that nobody needs.
    package func findingsOfUnneeded(at now: MonotonicInstant) -> [InputFinding] {
        configuration.demands.filter { !$0.isNeeded }.compactMap { tracks[$0.input]?.finding(at: now) }
    }

    /// What changed since the last call; afterwards `interlocks` holds.
    package mutating func ticked(_ now: MonotonicInstant) -> [InputChange] {
        for input in tracks.keys { tracks[input]?.roster.timePassed(now) }
        let found = findings(at: now)
        // The words may change while the trouble stays; it is one event.
        func isIn(_ findings: [InputFinding]) -> (InputFinding) -> Bool {
            { one in findings.contains { $0.kind == one.kind && $0.topic == one.topic } }
        }
        var changes = standing.filter { !isIn(found)($0) }.map(InputChange.cleared)
        changes += found.filter { !isIn(standing)($0) }.map(InputChange.raised)
        changes += notices.map(InputChange.noticed)
        notices = []
        standing = found
        return changes
    }

    /// As of the last tick.
    package var interlocks: Interlocks {
        standing.reduce(into: []) { $0.formUnion($1.interlocks) }
    }

    private func findings(at now: MonotonicInstant, where isIncluded: (Demand) -> Bool) -> [InputFinding] {
        var findings: [InputFinding] = []
        if isSuperseded { findings.append(.supersededNode) }
        for topic in configuration.commands {
            findings += commands[topic].map(InputFinding.of) ?? []
        }
        for demand in configuration.demands where isIncluded(demand) {
            if let finding = tracks[demand.input]?.finding(at: now) {
                findings.append(finding)
            } else if demand.input == .joints, let moved = standstill.motion(over: demand.staleAfter, at: now) {
                findings.append(.standing(demand.topic, whileMoved: moved))
            }
        }
        return findings
    }

    /// How much faster messages of the same clock travel on another input.
    ///
    /// Where one computer stamps everything, a camera's pictures, which travel slowly, are placed by the joint state's stamps.
    private func lead(of input: RobotInput) -> Duration {
        guard let own = tracks[input]?.offset else { return .zero }
        let leads = tracks.values.compactMap { $0.offset.map { own - $0 } }.filter { (0...Self.oneClock).contains($0) }
        return .nanoseconds(leads.max() ?? 0)
    }

    private func flaw(of content: InputContent, _ input: RobotInput) -> InputFlaw? {
        switch content {
        case .joints(let values, _): InputFlaw(joints: values, configuration.joints)
        case .values(let values, _): InputFlaw(values: values, input == .claws ? configuration.claws : [])
        case .picture(let form): InputFlaw(picture: form)
        case .unusable(let flaw): flaw
        }
    }
}

extension InputFinding {
    fileprivate static let supersededNode = InputFinding(
        .superseded,
        "ROS master",
        "another process has registered under this node's name",
        "only one agent may drive a robot; this one stops and leaves the arms to the other",
        .superseded
    )

    fileprivate static func of(_ command: InputContract.CommandTopic) -> [InputFinding] {
        var findings: [InputFinding] = []
        if !command.others.isEmpty {
            let names = command.others.joined(separator: " and ")
            findings.append(
                InputFinding(
                    .otherCommander,
                    command.topic,
                    "\(names) publish\(command.others.count == 1 ? "es" : "") it",
                    "stop \(names) first: two sources of commands make the arms jump",
                    .otherCommander
                )
            )
        }
        if command.listeners.isEmpty {
            findings.append(
                InputFinding(
                    .nobodyListens,
                    command.topic,
                    "nobody subscribes to it",
                    "start the robot's controller (rosnode list, rostopic info \(command.topic))",
                    .nobodyListens
                )
            )
        } else if command.connected == 0 {
            let names = command.listeners.joined(separator: " and ")
            findings.append(
                InputFinding(
                    .nobodyListens,
                    command.topic,
                    "\(names) subscribes to it but is not connected to this agent",
                    "can that machine reach this one? Set ROS_HOSTNAME or ROS_IP to a name or address that it knows",
                    .nobodyListens
                )
            )
        }
        return findings
    }

    fileprivate static func standing(_ topic: String, whileMoved moved: Float) -> InputFinding {
        InputFinding(
            .frozen,
            topic,
            "no joint changed while the commands moved by \(moved.rounded(digits: 2)) rad",
            "does the driver read the encoders, are the motors on?",
            .blind
        )
    }
}

extension Float {
    /// For people.
    func rounded(digits: Int) -> Float {
        let scale: Float = digits == 1 ? 10 : digits == 2 ? 100 : 1000
        return (self * scale).rounded() / scale
    }
}
