import ArgumentParser
import GrootCore
import GrootStore
import Testing

@testable import Gateway

struct DatabaseCommandsTests {
    private func refusal(_ command: any ParsableCommand.Type, _ arguments: String...) -> String {
        do {
            _ = try command.parseAsRoot(arguments)
            return "accepted"
        } catch {
            return command.message(for: error)
        }
    }

    @Test func whatMakesNoSenseIsNamedBeforeAnythingIsOpened() {
        #expect(refusal(EpisodesCommand.self, "list", "--outcome", "great").contains("--outcome great"))
        #expect(refusal(EpisodesCommand.self, "list", "--since", "yesterday").contains("--since yesterday"))
        #expect(refusal(EpisodesCommand.self, "list", "--limit", "0").contains("--limit 0"))
        #expect(refusal(RunsCommand.self, "save", "a", "--config", "[1]").contains("expected a JSON object"))
        let dashed = refusal(RunsCommand.self, "save", "a", "--config", #"{"--mode": "rtc"}"#)
        #expect(dashed.contains("no setting \"--mode\""))
        #expect(refusal(RunsCommand.self, "save", "a", "--config", #"{"mode": [1]}"#).contains("JSON object of texts"))
        let error = #expect(throws: (any Error).self) {
            try RunsCommand.parseAsRoot(["save", "a", "--config", "@/nowhere"])
        }
        #expect(error.map { RunsCommand.exitCode(for: $0).rawValue } == ProcessExit.badInput.rawValue)
        #expect(refusal(RunsCommand.self, "assign", "a@x").contains("NAME@VERSION"))
        for share in ["0", "1", "100%", "-1", "x"] {
            #expect(
                refusal(RunsCommand.self, "assign", "a", "--share=\(share)").contains("--share \(share)"),
                "\(share)"
            )
        }
        #expect(refusal(MigrateCommand.self, "--keep", "inferences=forever").contains("TABLE=DAYS"))
        #expect(refusal(CheckpointsCommand.self, "describe", "mini").contains("nothing to note"))
        #expect(refusal(RunsCommand.self, "save", "a", "--config", #"{"mode": "rtc", "blend_ms": 100}"#) == "accepted")
        #expect(refusal(RunsCommand.self, "assign", "a@3", "--share", "10%", "--robot", "r*") == "accepted")
    }

    @Test func timesBecomeIntervals() {
        #expect(DatabaseCommand.interval("30m") == "30 minutes")
        #expect(DatabaseCommand.interval("7d") == "7 days")
        for text in ["", "d", "7", "-1d", "7w", "0h"] { #expect(DatabaseCommand.interval(text) == nil, "\(text)") }
    }
}
