import GrootCore
import ROS1

@testable import RobotAgent

/// A robot as the input contract hears it: 100 Hz of joints, claws and the rest, 10 Hz of pictures, faults on demand, all in
/// virtual time.
struct ContractRobot {
    var contract: InputContract
    var now = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    var joints: [Float]
    var form = PictureForm(width: 640, height: 480, encoding: "rgb8")
    var faults: [RobotInput: InputContractTests.Fault] = [:]
    /// Clocks of the publishers against this machine's, nanoseconds.
    var offsets: [RobotInput: Int64] = [:]
    var names: [RobotInput: String] = [:]
    var isUnstamped: Set<RobotInput> = []
    /// Whether the encoders read something new at every message.
    var isMoving = false
    var commanded: [Float]?
    var commandsMove = false
    private(set) var used: [RobotInput: Int] = [:]
    private(set) var ghostUsed = 0
    /// Names of the changes so far.
    private(set) var raised: [String] = []
    private(set) var worstAgeError = Duration.zero
    private var index = 0
    private var announced: Set<RobotInput> = []
    private var ghosts: Set<RobotInput> = []
    private var frozen: [RobotInput: Int64] = [:]

    /// - Parameter offsets: clocks that were off from the start.
    init(offsets: [RobotInput: Int64] = [:]) throws {
        self.offsets = offsets
        var profile = try ProfileCatalog.load("4_pro")
        profile.limits.staleCameraMs = 1000
        joints = profile.arm.homeRad
        contract = InputContract(
            InputContract.Configuration(
                profile,
                cameraKeys: ["observation.images.cam_head", "observation.images.cam_chest"],
                extras: ObservationBuffers.Extra.allCases,
                commandsBase: false,
                unneeded: ["observation.images.cam_left"]
            )
        )
        contract.commandsSeen(
            contract.configuration.commands.map { .init(topic: $0, others: [], listeners: ["/controller"]) }
        )
        // A camera is silent until its first picture.
        run(for: .milliseconds(200))
        raised = []
    }

    func topic(of input: RobotInput) -> String {
        contract.configuration.demands.first { $0.input == input }?.topic ?? ""
    }

    func description(of input: RobotInput) -> ROSPublisherDescription {
        ROSPublisherDescription(name: names[input] ?? "/driver", type: "t", md5: "5")
    }

    mutating func run(for time: Duration) {
        let end = now + time
        while now < end {
            now = now + .milliseconds(10)
            index += 1
            if commandsMove, let pose = commanded { commanded = pose.map { $0 + 0.005 } }
            if isMoving { joints = joints.map { $0 + (index % 2 == 0 ? 0.001 : -0.001) } }
            for demand in contract.configuration.demands {
                if case .camera = demand.input, index % 10 != 0 { continue }
                publish(demand.input)
            }
            contract.commanded(commanded, at: now)
            raised += contract.ticked(now).map(\.name)
        }
    }

    private mutating func publish(_ input: RobotInput) {
        let fault = faults[input]
        announce(input, fault)
        guard fault != .silent, fault != .unknownType else { return }
        if fault == .frozen { frozen[input] = frozen[input] ?? now.nanoseconds } else { frozen[input] = nil }
        let made = frozen[input] ?? now.nanoseconds
        var stamp: Int64? = made + (offsets[input] ?? 0)
        if case .extra = input { stamp = nil }
        if isUnstamped.contains(input) { stamp = 0 }
        if fault == .wrongStamps {
            // Never the same clock twice: minutes back and forth.
            stamp = stamp.map { $0 + Int64(index * 7919 % 600 - 300) * 1_000_000_000 }
        }
        // Half a millisecond to four of travel.
        let arrival = now + .microseconds(500 + index * 37 % 3500)
        let captured = contract.arrived(
            content(input, fault),
            on: input,
            from: description(of: input).name,
            stamp: stamp,
            at: arrival
        )
        if let captured {
            used[input, default: 0] += 1
            let error = captured < now ? now - captured : captured - now
            if fault == nil { worstAgeError = max(worstAgeError, error) }
        }
        guard fault == .doubled else { return }
        let ghost = contract.arrived(content(input, nil), on: input, from: "/ghost", stamp: stamp, at: arrival)
        if ghost != nil { ghostUsed += 1 }
    }

    private mutating func announce(_ input: RobotInput, _ fault: InputContractTests.Fault?) {
        let own = description(of: input)
        if fault == .unknownType {
            // The driver came back after an update.
            if announced.remove(input) != nil { contract.publisherChanged(.disconnected(own), of: input, at: now) }
            var other = own
            other.md5 = "6"
            let refusal = ROSRefusal(publisher: other, expectedType: "t", expectedMD5s: ["5"])
            if index % 100 == 0 || frozen[input] == nil {
                contract.publisherChanged(.refused(refusal), of: input, at: now)
            }
            return
        }
        if announced.insert(input).inserted { contract.publisherChanged(.connected(own), of: input, at: now) }
        let ghost = ROSPublisherDescription(name: "/ghost", type: "t", md5: "5")
        if fault == .doubled, ghosts.insert(input).inserted {
            contract.publisherChanged(.connected(ghost), of: input, at: now)
        } else if fault != .doubled, ghosts.remove(input) != nil {
            contract.publisherChanged(.disconnected(ghost), of: input, at: now)
        }
    }

    private func content(_ input: RobotInput, _ fault: InputContractTests.Fault?) -> InputContent {
        let isOut = fault == .outOfRange
        switch input {
        case .joints:
            var values = joints
            if isOut { values[3] = -3.1 }
            return .joints(values, total: 28)
        case .claws: return .values(isOut ? [50, 140] : [50, 50], total: 2)
        case .camera:
            guard isOut else { return .picture(form) }
            return .picture(PictureForm(width: 100_000, height: 100_000, encoding: "rgb8"))
        case .extra(let extra):
            return .values([Float](repeating: isOut ? .nan : 0.5, count: extra == .body ? 12 : 3), total: 12)
        }
    }
}
