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
        #expect(profile.dimensions == 16)
        #expect(profile.armJoints == 0..<14)
        #expect(profile.claws == 14..<16)
        #expect(profile.jointIndices == Array(4...17))
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
}
