import Foundation
import GrootAPI
import GrootCore
import Testing

@testable import RobotAgent

/// What the gateway lets people save is what an agent can use, and nothing else.
struct AssignableSettingTests {
    /// Values that make sense, by key, as JSON.
    private static let good: [String: [String]] = [
        "action_chunk_size": ["1", "16"], "aggregate_fn": AggregateFunction.allCases.map { "\"\($0.rawValue)\"" },
        "blend_ms": ["10", "99.5", "1000"], "chunk_start": ["0", "15"], "chunk_end": ["16"],
        "chunk_size_threshold": ["0.5", "1", "\"auto\"", "\"0.5\""],
        "mode": RequestPlanner.Mode.allCases.map { "\"\($0.rawValue)\"" }, "max_joint_velocity": ["0.5", "3"],
        "request_timeout": ["\"500ms\"", "\"2s\""], "episode_timeout": ["\"30s\""],
        "image_encoding": ["\"raw\"", "\"jpeg:80\""], "hedge": ["true", "false"], "rotate_head_camera": ["true"],
    ]
    private static let bad: [String: [String]] = [
        "action_chunk_size": ["0", "-1", "1.5", "\"16\"", "true"], "aggregate_fn": ["\"mean\"", "1"],
        "blend_ms": ["5", "1001", "\"100\""], "chunk_start": ["-1"], "chunk_end": ["-1", "0.5"],
        "chunk_size_threshold": ["0", "1.1", "\"most\"", "true"], "mode": ["\"fast\"", "2"],
        "max_joint_velocity": ["0", "-1", "\"1\""], "request_timeout": ["5", "\"soon\"", "\"-1s\""],
        "episode_timeout": ["true", "\"\""], "image_encoding": ["\"png\"", "\"jpeg:0\"", "\"jpeg:101\"", "1"],
        "hedge": ["1", "\"true\""], "rotate_head_camera": ["0"],
    ]

    private func problem(_ key: String, _ json: String) throws -> String? {
        let values = try JSONDecoder().decode(
            [String: AssignableSetting.Value].self,
            from: Data("{\"\(key)\":\(json)}".utf8)
        )
        return AssignableSetting.problem(key, try #require(values[key]))
    }

    private func applied(_ key: String, _ json: String) -> [String] {
        let policy = PolicyDescription(
            checkpoint: "c",
            policyType: "t",
            sha256: "s",
            runtime: "r",
            images: [],
            stateNames: [],
            actionNames: [],
            chunkSize: 16,
            actionPeriod: .milliseconds(100),
            supportsPrefix: true,
            maxTaskBytes: 96
        )
        var answer = Groot_V1_AssignRunConfigResponse()
        answer.name = "a"
        answer.version = 1
        answer.configJson = "{\"\(key)\":\(json)}"
        let configuration = AgentConfiguration(
            robot: "r1",
            task: "t",
            gateway: .tcp(host: "h", port: 1),
            rosMaster: "http://h:1",
            stateDirectory: URL(filePath: "/tmp")
        )
        return configuration.applying(answer, policy: policy).problems
    }

    @Test func everyKeyHasValuesThatMakeSenseAndSomeThatDoNot() {
        let keys = Set(AssignableSetting.all.map(\.key))
        #expect(keys == Set(Self.good.keys) && keys == Set(Self.bad.keys))
    }

    @Test(arguments: good.flatMap { key, values in values.map { (key, $0) } })
    func whatMayBeSavedIsUsed(_ key: String, _ json: String) throws {
        #expect(try problem(key, json) == nil)
        #expect(applied(key, json) == [], "\(key) \(json)")
    }

    @Test(arguments: bad.flatMap { key, values in values.map { (key, $0) } })
    func whatMakesNoSenseIsRefusedWithTheKey(_ key: String, _ json: String) throws {
        #expect(try problem(key, json)?.contains(key) == true, "\(json)")
    }

    @Test func aKeyThatNobodyReadsIsRefused() throws {
        for key in ["blend", "chunkSize", "speed", "", "chunk-start"] {
            #expect(try problem(key, "1")?.contains("no setting") == true)
        }
    }
}
