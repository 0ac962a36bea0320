import ArgumentParser
import Foundation
import GrootCore
import Testing

@testable import RobotAgent

struct AgentCommandTests {
    private func checked(_ arguments: String...) throws -> Result<AgentConfiguration, RunFlags.Problems> {
        let command = try RunCommand.parse(FlagSpelling.normalised(arguments))
        return command.flags.checked(environment: [:], arguments: FlagSpelling.normalised(arguments))
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
        #expect(configuration.gateways.first == .tcp(host: "127.0.0.1", port: 9999))
        #expect(configuration.checkpoint == "016000")
        #expect(configuration.chunkSize == 12)
        #expect(configuration.task == "Depalletize the green box")
        #expect(configuration.threshold == .fixed(0.3))
        #expect(configuration.rotatesHeadCamera)
        #expect(configuration.aggregate == .latestOnly)
    }

    @Test func defaults() throws {
        let configuration = try checked("--robot", "r1").get()
        #expect(configuration.gateways.first == .tcp(host: "127.0.0.1", port: 8080))
        #expect(configuration.rosMaster == "http://127.0.0.1:11311")
        #expect(configuration.chunkSize == nil)
        #expect(configuration.threshold == .fixed(0.5))
        #expect(configuration.mode == .async)
        #expect(configuration.stateDirectory.path.hasSuffix(".state/agent-r1"))
    }

    @Test func allProblemsComeTogether() throws {
        let result = try checked(
            "--robot",
            "r 1",
            "--fps",
            "0",
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
        #expect(problems.lines.contains { $0.contains("--fps") })
    }

    @Test func theSyncScriptsKnobs() throws {
        let configuration = try checked(
            "--robot",
            "r1",
            "--mode",
            "sync",
            "--chunk-start",
            "1",
            "--chunk-end",
            "7",
            "--action-stride",
            "2",
            "--max-joint-velocity",
            "1.0",
            "--pause-before-chunk",
            "--claw-latch",
            "--claw-latch-count",
            "30",
            "--freeze-arm",
            "left",
            "--image-zero",
            "cam_chest",
            "--state-zero",
            "--dry-run"
        ).get()
        #expect(configuration.shape.start == 1 && configuration.shape.end == 7 && configuration.shape.stride == 2)
        #expect(configuration.clawLatch?.count == 30)
        #expect(configuration.frozenArm == .left)
        #expect(configuration.isDryRun && configuration.zeroesState && configuration.pausesBeforeChunk)
        guard case .failure(let problems) = try checked("--robot", "r1", "--action-stride", "2", "--pause-before-chunk")
        else {
            Issue.record("these need sync mode")
            return
        }
        #expect(problems.lines.count == 2 && problems.lines.allSatisfy { $0.contains("--mode sync") })
    }

    @Test func gatewaysThresholdAndImages() throws {
        let configuration = try checked(
            "--robot",
            "r1",
            "--gateway",
            "a:1,b:2",
            "--chunk-size-threshold",
            "auto",
            "--image-encoding",
            "jpeg:80"
        ).get()
        #expect(configuration.gateways == [.tcp(host: "a", port: 1), .tcp(host: "b", port: 2)])
        #expect(configuration.threshold == .auto)
        #expect(configuration.imageFormat == .jpeg(quality: 80))
        #expect(configuration.explicitFlags == ["robot", "gateway", "chunk_size_threshold", "image_encoding"])
    }

    /// Two screens of a terminal; everything else is behind `--help-hidden`, and nothing is lost there.
    @Test func helpFitsTwoScreens() {
        let help = AgentCommand.helpMessage(for: RunCommand.self, columns: 80)
        let lines = help.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 72, "\(lines.count) lines:\n\(help)")
        for title in ["ROBOT AND POLICY", "SESSION", "MOTION", "OBSERVATIONS AND RECORDS", "PROCESS", "TLS"] {
            #expect(lines.contains { $0.hasPrefix(title) }, "\(title):\n\(help)")
        }
        let all = AgentCommand.helpMessage(for: RunCommand.self, includeHidden: true, columns: 80)
        for flag in ["--fps", "--lerobot-dataset-path", "--hand-back-timeout", "--claw-latch-value", "--blend-ms"] {
            #expect(all.contains(flag) && !help.contains("  \(flag) "))
        }
    }

    @Test func aLineCutByABackslashWithABlankIsSaid() {
        #expect(
            FlagSpelling.normalised(["--robot", "r1", "--action_chunk_size=20", " "]) == [
                "--robot", "r1", "--action-chunk-size=20",
            ]
        )
        #expect(FlagSpelling.remark(on: ["--action_chunk_size=20", " "])?.contains("backslash") == true)
        #expect(FlagSpelling.remark(on: ["--task", " "]) == nil, "an option's value stays, and is judged as one")
        #expect(FlagSpelling.normalised(["--task", " "]) == ["--task", " "])
        #expect(FlagSpelling.remark(on: ["--robot", "r1", ""]) == nil)
    }

    @Test func controlCharactersInTheTaskAreRefused() throws {
        guard case .failure(let problems) = try checked("--robot", "r1", "--task", "Depalletize\u{1B}[D the box") else {
            Issue.record("it could not be stored")
            return
        }
        #expect(problems.lines.count == 1 && problems.lines[0].contains("--task"))
    }

    @Test func runIsTheDefaultCommand() throws {
        #expect(try AgentCommand.parseAsRoot(["--robot", "r1"]) is RunCommand)
        #expect(try AgentCommand.parseAsRoot(["run", "--robot", "r1"]) is RunCommand)
    }

    @Test func valuesKeepTheirUnderscores() {
        let arguments = ["--state_dir", "/a_b", "--ckpt_path=/x_y", "--", "--not_touched"]
        #expect(
            FlagSpelling.normalised(arguments) == ["--state-dir", "/a_b", "--ckpt-path=/x_y", "--", "--not_touched"]
        )
    }

    @Test(arguments: [("20s", 20_000), ("500ms", 500), ("1.5", 1500)])
    func durations(text: String, milliseconds: Int) {
        #expect(RunFlags.duration(text) == .milliseconds(milliseconds))
    }
}
