import Foundation
import GrootCore
import GrootTesting
import ROS1
import Testing

@testable import RobotAgent

struct RobotProfileTests {
    @Test(arguments: ProfileCatalog.builtIn)
    func builtInProfilesAreUsable(name: String) throws {
        let profile = try ProfileCatalog.load(name)
        #expect(profile.name == name)
        #expect(profile.armJoints == 0..<14)
        #expect(profile.claws == 14..<16)
        #expect(profile.jointIndices == (name == "4_pro" ? Array(12...25) : Array(4...17)))
        #expect(profile.controlNames(for: profile.actionNames).count == (name == "4_pro" ? 18 : 16))
    }

    @Test func theSimulatorsHomeIsMirrored() throws {
        let home = try ProfileCatalog.load("simulator").arm.homeRad
        let signs: [Float] = [1, -1, -1, 1, -1, -1, 1]
        for joint in 0..<7 { #expect(home[7 + joint] == home[joint] * signs[joint]) }
    }

    @Test func aBrokenFileNamesWhatIsWrong() throws {
        var profile = try ProfileCatalog.load("simulator")
        profile.arm.homeRad[3] = 1
        profile.arm.maximumVelocityRadS.removeLast()
        #expect(profile.problems.contains { $0.contains("maximum_velocity") })
        profile.arm.maximumVelocityRadS.append(1)
        #expect(profile.problems.contains { $0.contains("zarm_l4_joint") })
        let error = #expect(throws: AgentError.self) { try ProfileCatalog.load("/no/such/profile.json") }
        #expect(error?.exit == .badInput)
    }

    @Test(arguments: [
        ([StateComponent.joints, .claws], 16), ([.joints, .claws, .body], 18), ([.joints, .imu], 20),
        ([.joints, .imu, .claws], 22), ([.joints], 14),
    ])
    func stateVariants(components: [StateComponent], count: Int) throws {
        let profile = try ProfileCatalog.load("4_pro")
        let names = components.flatMap { $0.names(of: profile) }
        #expect(names.count == count)
        #expect(names.allSatisfy { profile.source(of: $0) != nil })
        var observation = ObservationBuffers.Aligned(
            frames: [:],
            state: (0..<16).map { Float($0) },
            capturedAt: MonotonicInstant(nanoseconds: 0),
            skew: .zero
        )
        for extra in profile.extras(for: names) {
            observation.extras[extra] = (0..<12).map { 100 + Float($0) }
        }
        let values = names.map { profile.value(of: $0, in: observation) }
        #expect(!values.contains(nil))
        if let index = names.firstIndex(of: "com_pitch_eular") { #expect(values[index] == 110) }
        if let index = names.firstIndex(of: "ang_vel_x") { #expect(values[index] == 100) }
        if let index = names.firstIndex(of: "right_claw_state") { #expect(values[index] == 15) }
    }

    /// Seven and seven joints are a file's choice, not the agent's: a robot of six and six, and one with its right arm alone.
    @Test(arguments: [(6, 6), (0, 7), (5, 0), (7, 6)])
    func armsComeFromTheFile(left: Int, right: Int) throws {
        var profile = try ProfileCatalog.load("simulator")
        let kept = Array(0..<left) + Array(7..<7 + right)
        profile.jointIndices = kept.map { profile.jointIndices[$0] }
        profile.arm.leftJoints = left
        profile.arm.commandNames = kept.map { profile.arm.commandNames[$0] }
        profile.arm.minimumRad = kept.map { profile.arm.minimumRad[$0] }
        profile.arm.maximumRad = kept.map { profile.arm.maximumRad[$0] }
        profile.arm.homeRad = kept.map { profile.arm.homeRad[$0] }
        profile.arm.maximumVelocityRadS = kept.map { profile.arm.maximumVelocityRadS[$0] }
        profile.arm.maximumAccelerationRadS2 = kept.map { profile.arm.maximumAccelerationRadS2[$0] }
        let hands = (left > 0 ? ["left"] : []) + (right > 0 ? ["right"] : [])
        profile.claw.stateIndices = Array(hands.indices)
        profile.claw.commandNames = hands
        profile.actionComponents = [
            left > 0 ? .leftArm : nil, right > 0 ? .rightArm : nil, left > 0 ? .leftClaw : nil,
            right > 0 ? .rightClaw : nil,
        ].compactMap { $0 }
        #expect(profile.problems == [])
        #expect(profile.hands == hands)
        let names = profile.controlNames(for: profile.actionNames)
        #expect(names.count == left + right + hands.count && names == profile.actionNames)
        #expect(profile.stateNames.count == names.count)
        for (index, name) in profile.stateNames.enumerated() {
            let expected: StateSource = index < left + right ? .joint(index) : .claw(index - left - right)
            #expect(profile.source(of: name) == expected, "\(name)")
        }
        #expect(AgentConfiguration.Arm.left.dimensions(of: profile).count == (left > 0 ? left + 1 : 0))
        #expect(AgentConfiguration.Arm.right.dimensions(of: profile).contains(names.count - 1) == (right > 0))
        var messages = CommandMessages(profile: profile, commandsBase: false)
        messages.set((0..<messages.dimensions).map { Float($0) }, header: .init())
        #expect(messages.arms.position.count == left + right && messages.claws.data.position.count == hands.count)
        #expect(messages.claws.data.position.last == Double(names.count - 1))
        // Without its arm a component is a mistake of the file.
        profile.actionComponents = [.leftArm, .rightArm, .leftClaw, .rightClaw]
        #expect(profile.problems.isEmpty == (hands.count == 2))
    }

    @Test(arguments: [(30, true), (100, true), (250, true), (1000, true), (9, false), (0, false), (1001, false)])
    func theControlRateIsAFilesChoice(hertz: Int, isUsable: Bool) throws {
        var profile = try ProfileCatalog.load("simulator")
        profile.controlRateHz = hertz
        #expect(profile.problems.isEmpty == isUsable)
        if isUsable { #expect(profile.rate.duration(of: hertz) <= .seconds(1)) }
    }

    @Test func swappedClawsAreAFileAway() throws {
        var profile = try ProfileCatalog.load("5_wheel")
        profile.claw.stateIndices = [1, 0]
        #expect(profile.problems.isEmpty)
    }
}
