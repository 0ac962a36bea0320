import ArgumentParser
import Foundation
import GrootCore
import Testing

@testable import RobotAgent

struct AgentCommandTests {
    private func checked(_ arguments: String...) throws -> Result<AgentConfiguration, AgentCommand.Problems> {
        let command = try AgentCommand.parse(FlagSpelling.normalised(arguments))
        return command.checked(environment: [:])
    }

    @Test func theGuidesSpellingsWork() throws {
        let configuration = try checked(
            "--robot",
            "r1",
            "--server_address=127.0.0.1:9999",
            "--ckpt_path=/a/b/016000/pretrained_model",
            "--action_chunk_size=12",
            "--task_description=Depalletize the green box",
            "--chunk_size_threshold=0.3",
            "--lerobot_dataset_path=/data",
            "--rotate-head-camera",
            "--aggregate_fn",
            "latest_only"
        ).get()
        #expect(configuration.gateway == .tcp(host: "127.0.0.1", port: 9999))
        #expect(configuration.checkpoint == "016000")
        #expect(configuration.chunkSize == 12)
        #expect(configuration.task == "Depalletize the green box")
        #expect(configuration.threshold == 0.3)
        #expect(configuration.rotatesHeadCamera)
        #expect(configuration.aggregate == .latestOnly)
    }

    @Test func defaults() throws {
        let configuration = try checked("--robot", "r1").get()
        #expect(configuration.gateway == .tcp(host: "127.0.0.1", port: 8080))
        #expect(configuration.rosMaster == "http://127.0.0.1:11311")
        #expect(configuration.chunkSize == nil)
        #expect(configuration.threshold == 0.5)
        #expect(configuration.mode == .async)
        #expect(configuration.stateDirectory.path.hasSuffix(".state/agent-r1"))
    }

    @Test func allProblemsComeTogether() throws {
        let result = try checked(
            "--robot",
            "r 1",
            "--fps",
            "30",
            "--chunk-size-threshold",
            "1.5",
            "--aggregate-fn",
            "median",
            "--mode",
            "both",
            "--gateway",
            "a:b:c",
            "--episodes",
            "0",
            "--ros-master",
            "11311",
            "--request-timeout",
            "soon"
        )
        guard case .failure(let problems) = result else {
            Issue.record("nothing of that is usable")
            return
        }
        #expect(problems.lines.count == 9)
        #expect(problems.lines.contains { $0.contains("--fps") && $0.contains("100 Hz") })
    }

    @Test func valuesKeepTheirUnderscores() {
        let arguments = ["--state_dir", "/a_b", "--ckpt_path=/x_y", "--", "--not_touched"]
        #expect(
            FlagSpelling.normalised(arguments) == ["--state-dir", "/a_b", "--ckpt-path=/x_y", "--", "--not_touched"]
        )
    }

    @Test(arguments: [("20s", 20_000), ("500ms", 500), ("1.5", 1500)])
    func durations(text: String, milliseconds: Int) {
        #expect(AgentCommand.duration(text) == .milliseconds(milliseconds))
    }
}
