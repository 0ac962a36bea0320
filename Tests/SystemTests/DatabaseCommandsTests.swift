import Foundation
import GrootTesting
import Testing

/// The database subcommands of the built gateway, on the database of a running gateway and of one that was stopped.
@Suite(.serialized)
struct DatabaseCommandsTests {
    private struct Episode: Decodable {
        var robot: String
        var task: String
        var outcome: String
        var durationS: Double
        var chunks: Int?
        var episodeId: String
    }

    private let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }()

    /// Runs a subcommand to its end.
    private func run(_ fleet: FleetFixture, _ arguments: String...) async throws -> (
        code: Int32, out: String, log: String
    ) {
        let command = try fleet.start("command-\(UUID().uuidString.prefix(8))", "groot-gateway", arguments)
        try await eventually(within: .seconds(60), "\(arguments) ends: \(command.lastLines())") { !command.isRunning }
        return (command.exitCode ?? -1, try command.standardOutput(), try command.logText())
    }

    @Test(.timeLimit(.minutes(4)))
    func theDailyWorkNeedsNoSQL() async throws {
        let fleet = try FleetFixture()
        let state = fleet.folder.url.appending(path: "gateway").path
        let nowhere = try await run(fleet, "episodes", "--state-dir", state)
        #expect(nowhere.code == 64 && nowhere.log.contains("no gateway has kept a database"), "\(nowhere)")

        let gateway = try fleet.startGateway()
        try await eventually(within: .seconds(60), "the database is there: \(gateway.lastLines())") {
            FileManager.default.fileExists(atPath: state + "/psql")
        }
        _ = try fleet.query(
            """
            INSERT INTO robots (robot) VALUES ('r1');
            INSERT INTO checkpoints (sha256, name) VALUES ('aaa', 'old'), ('bbb', 'new');
            INSERT INTO episodes (episode_id, robot, task, checkpoint, checkpoint_sha256, mode, started_at, outcome,
                duration_ns, ticks, starved_ticks, chunks)
            SELECT gen_random_uuid(), 'r1', 'green box', CASE WHEN n <= 100 THEN 'old' ELSE 'new' END,
                CASE WHEN n <= 100 THEN 'aaa' ELSE 'bbb' END, 'rtc', now() - n * interval '1 minute',
                CASE WHEN n % 100 < CASE WHEN n <= 100 THEN 50 ELSE 90 END THEN 'success' ELSE 'dropped' END,
                9876543210, 900, 9, 30
            FROM generate_series(1, 160) AS n
            """
        )
        let listed = try await run(
            fleet,
            "episodes",
            "--state-dir",
            state,
            "--outcome",
            "dropped",
            "--limit",
            "3",
            "--json"
        )
        let episodes = try decoder.decode([Episode].self, from: Data(listed.out.utf8))
        #expect(episodes.count == 3 && episodes.allSatisfy { $0.outcome == "dropped" && $0.durationS == 9.88 })
        let shown = try await run(
            fleet,
            "episodes",
            "show",
            String(episodes[0].episodeId.prefix(13)),
            "--state-dir",
            state
        )
        #expect(shown.out.contains("outcome") && shown.out.contains("dropped") && shown.out.contains("nothing found"))

        // 49 of 100 against 60 of 60 is more than chance.
        let compared = try await run(fleet, "checkpoints", "compare", "--state-dir", state)
        let lines = compared.out.split(separator: "\n").map(String.init)
        #expect(lines.count == 4, "\(compared)")
        #expect(lines.last?.contains("new") == true && lines.last?.contains(" t ") == true, "\(compared.out)")

        // A canary from its saving to its end.
        for (name, config) in [("stable", "{}"), ("fast", #"{"mode": "rtc"}"#)] {
            let saved = try await run(fleet, "runs", "save", name, "--config", config, "--state-dir", state)
            #expect(saved.out == "\(name)@1\n", "\(saved)")
        }
        #expect(try await run(fleet, "runs", "assign", "stable", "--state-dir", state).code == 0)
        let canary = try await run(fleet, "runs", "assign", "fast", "--share", "20%", "--state-dir", state)
        #expect(canary.out.contains("fast@1 for 20.0 % of the episodes"), "\(canary)")
        let promoted = try await run(fleet, "runs", "promote", "--state-dir", state)
        #expect(promoted.out.contains("fast@1"), "\(promoted)")
        let back = try await run(fleet, "runs", "rollback", "--state-dir", state)
        #expect(back.out.contains("stable@1"), "\(back)")
        let again = try await run(fleet, "runs", "rollback", "--state-dir", state)
        #expect(again.code == 65 && again.log.contains("there is nothing before stable@1"), "\(again)")

        let kept = try await run(fleet, "migrate", "--keep", "events=45d", "--state-dir", state)
        #expect(kept.out.contains("views") && kept.out.contains("45"), "\(kept)")

        // A copy of the running database, restored beside it, says the same after the gateway is gone.
        let file = fleet.folder.url.appending(path: "fleet.backup").path
        #expect(try await run(fleet, "backup", file, "--state-dir", state).code == 0)
        gateway.terminate()
        try await eventually(within: .seconds(30), "the gateway ends") { !gateway.isRunning }
        let other = fleet.folder.url.appending(path: "restored").path
        let restored = try await run(fleet, "restore", file, "--state-dir", other)
        #expect(restored.code == 0, "\(restored)")
        let question = ["episodes", "--json", "--limit", "1000", "--state-dir"]
        let before = try await run(fleet, question[0], question[1], question[2], question[3], question[4], state)
        let after = try await run(fleet, question[0], question[1], question[2], question[3], question[4], other)
        #expect(before.code == 0 && before.out == after.out)
        #expect(try decoder.decode([Episode].self, from: Data(after.out.utf8)).count == 160)
    }
}
