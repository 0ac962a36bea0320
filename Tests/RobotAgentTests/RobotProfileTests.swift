import Foundation
import GrootCore
import GrootTesting
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
        let names = components.flatMap(\.names)
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

    @Test func swappedClawsAreAFileAway() throws {
        var profile = try ProfileCatalog.load("5_wheel")
        profile.claw.stateIndices = [1, 0]
        #expect(profile.problems.isEmpty)
    }
}
