import GrootCore
import ROS1
import Testing

@testable import RobotAgent

/// Every input with every fault, generated: what the contract finds, what it forbids, and that nothing of it is used.
struct InputContractTests {
    enum Fault: String, CaseIterable, Sendable {
        case silent
        case frozen
        case wrongStamps
        case outOfRange
        case doubled
        case unknownType
    }

    enum Topic: String, CaseIterable, Sendable {
        case joints
        case claws
        case camera
        case unusedCamera
        case imu
        case body

        var input: RobotInput {
            switch self {
            case .joints: .joints
            case .claws: .claws
            case .camera: .camera("observation.images.cam_head")
            case .unusedCamera: .camera("observation.images.cam_left")
            case .imu: .extra(.angularVelocity)
            case .body: .extra(.body)
            }
        }

        var isStamped: Bool { self != .imu && self != .body }
    }

    /// What a fault of a topic is found as; nil where it cannot be one: a message without a stamp has no wrong one, and three
    /// numbers without a range have no range to leave.
    static func expected(_ topic: Topic, _ fault: Fault) -> (kind: InputFinding.Kind, interlocks: Interlocks)? {
        let isState = topic == .joints || topic == .claws
        let silence: Interlocks = isState ? .blind : []
        return switch fault {
        case .silent: (.silent, silence)
        case .frozen: topic.isStamped ? (.frozen, silence) : nil
        case .wrongStamps: topic.isStamped ? (.badStamps, silence) : nil
        case .outOfRange:
            topic == .camera || topic == .unusedCamera ? (.unreadable, .unusableInput) : (.outOfRange, .unusableInput)
        case .doubled: (.doubled, .doubledInput)
        case .unknownType: (.unknownType, .unusableInput)
        }
    }

    @Test(arguments: Topic.allCases, Fault.allCases)
    func everyFaultOfEveryInputIsFoundAndNothingOfItIsUsed(topic: Topic, fault: Fault) throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(3))
        #expect(robot.contract.findings(at: robot.now) == [], "a healthy robot")
        #expect(robot.contract.interlocks == [])
        robot.faults[topic.input] = fault
        let usedBefore = robot.used[topic.input] ?? 0
        robot.run(for: .seconds(3))
        let usedAfter = robot.used[topic.input] ?? 0
        guard let expected = Self.expected(topic, fault) else {
            #expect(robot.contract.findings(at: robot.now) == [])
            return
        }
        let all = robot.contract.findings(at: robot.now) + robot.contract.findingsOfUnneeded(at: robot.now)
        #expect(all.map(\.kind) == [expected.kind], "\(all)")
        let finding = try #require(all.first)
        #expect(finding.topic == robot.topic(of: topic.input))
        #expect(!finding.what.isEmpty && !finding.remedy.isEmpty)
        if topic == .unusedCamera {
            #expect(
                robot.contract.findings(at: robot.now) == [],
                "a camera that the policy does not use prevents nothing"
            )
            #expect(robot.contract.interlocks == [])
            #expect(robot.raised == [])
        } else {
            #expect(robot.contract.interlocks == expected.interlocks)
            #expect(robot.raised == [expected.kind.rawValue])
        }
        if fault != .doubled {
            #expect(usedAfter - usedBefore <= 1, "\(usedAfter - usedBefore) messages were used")
        } else {
            #expect(robot.ghostUsed == 0, "the second publisher never leads")
        }
        robot.faults = [:]
        robot.run(for: .seconds(8))
        #expect(robot.contract.findings(at: robot.now) == [])
        #expect(robot.contract.interlocks == [])
        #expect(robot.contract.findingsOfUnneeded(at: robot.now) == [])
        #expect(robot.raised.filter { $0.hasSuffix("_over") }.count == (topic == .unusedCamera ? 0 : 1))
    }

    /// The arms are held within 250 ms of the last message that could be used.
    @Test(arguments: [Topic.joints, .claws], [Fault.silent, .frozen, .wrongStamps, .outOfRange])
    func theArmsAreHeldInTime(topic: Topic, fault: Fault) throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(3))
        robot.faults[topic.input] = fault
        robot.run(for: .milliseconds(300))
        #expect(robot.contract.interlocks != [], "\(robot.contract.findings(at: robot.now))")
    }

    @Test func degreesAreNamedAsSuch() throws {
        var robot = try ContractRobot()
        robot.joints = robot.joints.map { $0 * 180 / .pi }
        robot.run(for: .seconds(1))
        let finding = try #require(robot.contract.findings(at: robot.now).first)
        #expect(finding.kind == .outOfRange && finding.refusal == .safety)
        // 0.805 rad published as degrees.
        #expect(finding.what == "zarm_l1_joint reads 46.1 rad, its range is -3.1416 to 1.5708", "\(finding.what)")
        #expect(finding.remedy.contains("degrees"))
        robot.joints = try ContractRobot().joints
        robot.joints[3] = -128.63
        robot.run(for: .seconds(1))
        let elbow = try #require(robot.contract.findings(at: robot.now).first)
        #expect(elbow.what == "zarm_l4_joint reads -128.6 rad, its range is -2.618 to 0")
    }

    @Test(arguments: [0..<14, 0..<7, 7..<14])
    func encodersThatAreNotReadyAreFound(zeros: Range<Int>) throws {
        var robot = try ContractRobot()
        for joint in zeros { robot.joints[joint] = 0 }
        robot.run(for: .seconds(1))
        let finding = try #require(robot.contract.findings(at: robot.now).first)
        #expect(finding.kind == .notReady && finding.refusal == .safety)
        #expect(finding.what.hasPrefix("\(zeros.count) of 14 joints read exactly 0"))
    }

    @Test(arguments: [Float.nan, .infinity, 1.8])
    func oneBadMessageAmongGoodOnesIsNotUsedAndForbidsNothing(value: Float) throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(1))
        let used = robot.used[.joints] ?? 0
        let good = robot.joints
        robot.joints[0] = value
        robot.run(for: .milliseconds(10))
        robot.joints = good
        robot.run(for: .milliseconds(90))
        #expect((robot.used[.joints] ?? 0) - used == 9)
        #expect(robot.contract.interlocks == [])
    }

    /// Joints that a driver stamps anew and never reads anew.
    @Test func aMeasurementThatStandsWhileTheCommandsMoveBlinds() throws {
        var robot = try ContractRobot()
        robot.isMoving = true
        robot.commanded = robot.joints
        robot.run(for: .seconds(2))
        #expect(robot.contract.interlocks == [])
        robot.isMoving = false
        robot.commandsMove = true
        robot.run(for: .milliseconds(400))
        #expect(robot.contract.interlocks == .blind)
        let finding = try #require(robot.contract.findings(at: robot.now).first)
        #expect(finding.kind == .frozen && finding.what.contains("while the commands moved"))
        robot.isMoving = true
        robot.run(for: .milliseconds(200))
        #expect(robot.contract.interlocks == [])
    }

    @Test func aRobotThatStandsWithItsCommandsIsFine() throws {
        var robot = try ContractRobot()
        robot.commanded = robot.joints
        robot.run(for: .seconds(5))
        #expect(robot.contract.findings(at: robot.now) == [])
    }

    // MARK: Commands

    @Test func othersOnACommandedTopicAreNamedAndForbidMotion() throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(1))
        let arm = "/kuavo_arm_traj"
        robot.contract.commandsSeen([.init(topic: arm, others: ["/joystick"], listeners: ["/controller"])])
        robot.run(for: .milliseconds(20))
        let finding = try #require(robot.contract.findings(at: robot.now).first)
        #expect(finding.kind == .otherCommander && finding.what.contains("/joystick") && finding.topic == arm)
        #expect(robot.contract.interlocks == .otherCommander && finding.refusal == .unavailable)
        robot.contract.commandsSeen([.init(topic: arm, others: [], listeners: ["/controller"])])
        robot.run(for: .milliseconds(20))
        #expect(robot.contract.interlocks == [])
    }

    @Test func somebodyMustListen() throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(1))
        let claw = "/leju_claw_command"
        robot.contract.commandsSeen([.init(topic: claw, others: [], listeners: [])])
        robot.run(for: .milliseconds(20))
        #expect(robot.contract.interlocks == .nobodyListens)
        #expect(robot.contract.findings(at: robot.now).first?.what == "nobody subscribes to it")
        robot.contract.commandsSeen([.init(topic: claw, others: [], listeners: ["/controller"], connected: 0)])
        robot.run(for: .milliseconds(20))
        let unreachable = try #require(robot.contract.findings(at: robot.now).first)
        #expect(unreachable.what.contains("not connected") && unreachable.remedy.contains("ROS_HOSTNAME"))
        robot.contract.subscribersConnected(1, to: claw)
        robot.run(for: .milliseconds(20))
        #expect(robot.contract.interlocks == [])
    }

    /// A master that was started again knows no subscriber for some seconds, and the controller stays connected.
    @Test func aConnectionThatStandsProvesAListener() throws {
        var robot = try ContractRobot()
        let claw = "/leju_claw_command"
        robot.contract.commandsSeen([.init(topic: claw, others: [], listeners: ["/controller"], connected: 0)])
        robot.contract.subscribersConnected(2, to: claw)
        for _ in 0..<3 { robot.contract.commandsSeen([.init(topic: claw, others: [], listeners: [])]) }
        robot.run(for: .milliseconds(20))
        #expect(robot.contract.interlocks == [])
        // One of them, which nobody lists, may have been the controller.
        robot.contract.subscribersConnected(1, to: claw)
        robot.contract.commandsSeen([.init(topic: claw, others: [], listeners: [])])
        robot.run(for: .milliseconds(20))
        #expect(robot.contract.interlocks == .nobodyListens)
        // A spectator alone commands nothing.
        robot.contract.commandsSeen([.init(topic: claw, others: [], listeners: [])])
        robot.run(for: .milliseconds(20))
        #expect(robot.contract.interlocks == .nobodyListens)
    }

    @Test func aSupersededNodeStaysSo() throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(1))
        robot.contract.superseded()
        robot.run(for: .seconds(1))
        #expect(robot.contract.interlocks == .superseded)
    }

    // MARK: Publishers and clocks

    /// A driver that restarts under another name, on a computer with another clock.
    @Test func anotherPublisherTakesOverOnceTheFirstIsGone() throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(1))
        robot.contract.publisherChanged(.disconnected(robot.description(of: .joints)), of: .joints, at: robot.now)
        robot.names[.joints] = "/driver_2"
        robot.offsets[.joints] = 3_000_000_000
        robot.contract.publisherChanged(.connected(robot.description(of: .joints)), of: .joints, at: robot.now)
        robot.run(for: .seconds(1))
        #expect(robot.contract.findings(at: robot.now) == [])
        #expect(robot.raised == ["publisher_changed"])
        #expect(robot.worstAgeError < .milliseconds(50))
    }

    @Test(arguments: [-5, -0.9, -0.31, 0, 0.31, 0.9, 5.0])
    func stateAndImagesAgreeWhateverTheirClocksSay(seconds: Double) throws {
        for input in [RobotInput.joints, .camera("observation.images.cam_head"), .claws] {
            var robot = try ContractRobot(offsets: [input: Int64(seconds * 1e9)])
            robot.run(for: .seconds(6))
            #expect(robot.contract.findings(at: robot.now) == [])
            #expect(robot.worstAgeError < .milliseconds(50), "\(robot.worstAgeError)")
            #expect(robot.raised == [])
        }
    }

    @Test func emptyStampsAreSaidOnceAndArrivalCounts() throws {
        var robot = try ContractRobot()
        robot.isUnstamped = [.joints]
        robot.run(for: .seconds(3))
        #expect(robot.contract.findings(at: robot.now) == [])
        #expect(robot.raised == ["unstamped"])
    }

    @Test func aSizeThatChangesIsCheckedAgain() throws {
        var robot = try ContractRobot()
        robot.run(for: .seconds(1))
        robot.form = PictureForm(width: 1280, height: 720, encoding: "rgb8")
        robot.run(for: .seconds(1))
        #expect(robot.raised == ["image_size_changed", "image_size_changed"], "one for each camera that is used")
        #expect(robot.contract.findings(at: robot.now) == [])
        robot.form = PictureForm(width: 1 << 31, height: 1 << 31, encoding: "rgb8")
        robot.run(for: .seconds(2))
        #expect(robot.contract.findings(at: robot.now).map(\.kind) == [.unreadable, .unreadable])
    }

    @Test func onlyWhatStandsForAWhileRefusesAStart() {
        var settling = SettlingFindings(time: .seconds(2))
        let silent = InputFinding(.silent, "/a", "", "")
        let doubled = InputFinding(.doubled, "/b", "", "")
        func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }
        #expect(settling.found([silent, doubled], at: at(0)) == [])
        #expect(settling.found([silent], at: at(1)) == [])
        #expect(settling.found([silent, doubled], at: at(2)) == [])
        #expect(settling.found([silent, doubled], at: at(3)) == [])
        #expect(settling.found([silent, doubled], at: at(4)) == [doubled], "silence alone may end at any time")
    }
}
