import Foundation
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// `--judge CMD`: the exit code decides.
struct JudgeCommandTests {
    private func ask(_ command: String, limit: Duration = .seconds(20)) async -> JudgeCommand.Answer {
        await JudgeCommand(command: command, limit: limit).ask(
            .init(robot: "r1", episode: "e-1", task: "Depalletize \"the\" box; rm -rf", checkpoint: "groot-mini")
        )
    }

    @Test(
        arguments: [
            ("true", JudgeCommand.Answer.verdict(.success, reason: "judge: exit 0")),
            ("false", .verdict(.failure, reason: "judge: exit 1")),
            ("echo box is on the pallet; echo more; exit 1", .verdict(.failure, reason: "judge: box is on the pallet")),
            ("printf '\\033[32mdone\\033[0m'", .verdict(.success, reason: "judge: done")),
            ("exit 2", .none("the judge ended with 2, which is no verdict")),
            ("echo camera is dark; exit 77", .none("the judge ended with 77, which is no verdict: camera is dark")),
            ("/no/such/judge 2>/dev/null", .none("the judge ended with 127, which is no verdict")),
            ("kill -9 $$", .none("the judge ended with -1, which is no verdict")),
            ("cat; echo $?", .verdict(.success, reason: "judge: 0")),
        ]
    )
    func theExitCodeDecides(command: String, answer: JudgeCommand.Answer) async {
        #expect(await ask(command) == answer)
    }

    @Test func itIsToldWhichEpisode() async {
        let answer = await ask(#"echo "$GROOT_ROBOT|$GROOT_EPISODE|$GROOT_TASK|$GROOT_CHECKPOINT""#)
        #expect(
            answer == .verdict(.success, reason: #"judge: r1|e-1|Depalletize "the" box; rm -rf|groot-mini"#)
        )
    }

    /// Much output, of which nobody reads the end.
    @Test func floodsAreNoProblem() async {
        guard case .verdict(.success, let reason) = await ask("yes x | tr -d '\n' | head -c 3000000; exit 0") else {
            Issue.record("it succeeds")
            return
        }
        #expect(reason.utf8.count <= JudgeCommand.maximumReason + 8 && reason.hasSuffix("…"))
    }

    /// One that hangs is ended, also when it will not go.
    @Test(arguments: ["sleep 600", "trap '' TERM; while :; do sleep 0.1; done"])
    func aJudgeThatHangsIsNoVerdict(command: String) async throws {
        let mark = "judge-\(UUID().uuidString)"
        let answer = await ask(": \(mark); \(command)", limit: .milliseconds(300))
        #expect(answer == .none("the judge did not answer within 0.3 s"))
        try await eventually("nothing of it is left") {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").allSatisfy { entry in
                // Processes come and go while they are looked at.
                guard Int(entry) != nil,
                    let line = try? String(contentsOfFile: "/proc/\(entry)/cmdline", encoding: .utf8)
                else { return true }
                return !line.contains(mark)
            }
        }
    }
}
