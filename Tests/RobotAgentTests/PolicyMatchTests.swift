import GrootCore
import Testing

@testable import RobotAgent

struct PolicyMatchTests {
    private func policy(_ name: String = "groot-mini") throws -> PolicyDescription {
        let profile = try ProfileCatalog.load("simulator")
        return PolicyDescription(
            checkpoint: name,
            policyType: "groot_mini",
            sha256: "00",
            runtime: "scripted",
            images: [.init(key: "observation.images.cam_head", width: 96, height: 96)],
            stateNames: profile.stateNames,
            actionNames: profile.actionNames,
            chunkSize: 16,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 96
        )
    }

    @Test func aFittingPolicyHasNoProblems() throws {
        let profile = try ProfileCatalog.load("simulator")
        #expect(PolicyMatch.problems(policy: try policy(), profile: profile, task: "go").isEmpty)
    }

    @Test func bothListsAreShown() throws {
        let profile = try ProfileCatalog.load("simulator")
        var policy = try policy()
        policy.stateNames[3] = "elbow"
        policy.images.append(.init(key: "observation.images.cam_left", width: 96, height: 96))
        let problems = PolicyMatch.problems(
            policy: policy,
            profile: profile,
            task: String(repeating: "x", count: 97)
        )
        #expect(problems.count == 3)
        #expect(problems[0].contains("elbow") && problems[0].contains("arm_joint_4"))
        #expect(problems[1].contains("cam_left") && problems[1].contains("cam_chest"))
        #expect(problems[2].contains("97") && problems[2].contains("96"))
    }

    @Test func selection() throws {
        let a = try policy("a")
        let b = try policy("b")
        #expect(try PolicyMatch.select(nil, among: [a, a]).checkpoint == "a")
        #expect(try PolicyMatch.select("b", among: [a, b]).checkpoint == "b")
        let several = #expect(throws: AgentError.self) { try PolicyMatch.select(nil, among: [a, b]) }
        #expect(several?.message.contains("a, b") == true)
        #expect(throws: AgentError.self) { try PolicyMatch.select("c", among: [a]) }
        #expect(throws: AgentError.self) { try PolicyMatch.select(nil, among: []) }
    }
}
