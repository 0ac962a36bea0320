/// Which arm targets the robot obeys: the 5-W's arm mode, quick mode and slow planner.
///
/// Pure. Joints in rad, claws 0 (open) to 100 (closed). Required order: arm mode 2, then quick mode, then stream.
struct ArmCommandGate: Sendable {
    enum Mode: Int32, Sendable {
        case hold = 0
        case initialPose = 1
        case external = 2
    }

    struct Answer: Hashable, Sendable {
        var accepted: Bool
        var message: String
    }

    enum Refusal: Hashable, Sendable {
        case wrongCount(Int)
        case notFinite
        case notExternal(Mode)

        var message: String {
            switch self {
            case .wrongCount(let count): "an arm target needs 14 positions in degrees, this one has \(count)"
            case .notFinite: "an arm target holds a value that is no finite number"
            case .notExternal(let mode): "arm targets are ignored in arm mode \(mode.rawValue); ask for mode 2 first"
            }
        }
    }

    static let joints = 14
    /// rad/s of the planner that arm targets pass without quick mode, and of the way to the initial pose.
    static let plannerSpeed = 0.4
    /// Percent per second of a claw's motion.
    static let clawSpeed = 400.0

    private(set) var mode = Mode.hold
    private(set) var isQuick = false
    /// What the servos are told now.
    private(set) var command: [Double]
    private var armTarget: [Double]
    private var clawTarget: [Double]

    init(command: [Double]) {
        self.command = command
        armTarget = Array(command[0..<Self.joints])
        clawTarget = Array(command[Self.joints...])
    }

    /// The robot was put somewhere else: hold that posture, keep the modes.
    mutating func replaced(command: [Double]) {
        self.command = command
        armTarget = Array(command[0..<Self.joints])
        clawTarget = Array(command[Self.joints...])
    }

    mutating func modeRequested(_ value: Int32) -> Answer {
        guard let mode = Mode(rawValue: value) else {
            return Answer(
                accepted: false,
                message: "arm mode \(value) does not exist; 0 holds, 1 goes to the initial pose, 2 is external"
            )
        }
        if mode != .external { isQuick = false }
        self.mode = mode
        armTarget = mode == .initialPose ? HomePosture.joints : Array(command[0..<Self.joints])
        return Answer(accepted: true, message: "arm mode \(value)")
    }

    mutating func quickModeRequested(_ on: Bool) -> Answer {
        if on && mode != .external {
            return Answer(
                accepted: false,
                message: "quick mode needs arm mode 2; the arms are in mode \(mode.rawValue)"
            )
        }
        isQuick = on
        return Answer(accepted: true, message: on ? "quick mode on" : "quick mode off")
    }

    /// Takes 14 joint targets in degrees.
    mutating func armTargetReceived(degrees: [Double]) -> Refusal? {
        guard degrees.count == Self.joints else { return .wrongCount(degrees.count) }
        guard degrees.allSatisfy(\.isFinite) else { return .notFinite }
        guard mode == .external else { return .notExternal(mode) }
        armTarget = degrees.map { $0 * .pi / 180 }
        return nil
    }

    /// Takes two claw targets 0…100, left first; false when they are malformed.
    ///
    /// Obeyed in every mode.
    mutating func clawTargetReceived(_ percent: [Double]) -> Bool {
        guard percent.count == 2, percent.allSatisfy(\.isFinite) else { return false }
        clawTarget = percent.map { min(max($0, 0), 100) }
        return true
    }

    /// The command for the next control tick of `seconds`.
    mutating func ticked(seconds: Double) -> [Double] {
        let reach = Self.plannerSpeed * seconds
        let direct = mode == .external && isQuick
        for joint in 0..<Self.joints {
            let way = armTarget[joint] - command[joint]
            command[joint] += direct ? way : min(max(way, -reach), reach)
        }
        for claw in 0..<2 {
            let way = clawTarget[claw] - command[Self.joints + claw]
            command[Self.joints + claw] += min(max(way, -Self.clawSpeed * seconds), Self.clawSpeed * seconds)
        }
        return command
    }
}
