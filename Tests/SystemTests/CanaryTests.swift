import Foundation
import GrootTesting
import Testing

/// A run config from the command line to the robot: real gateway, workers, simulator, agent and PostgreSQL.
@Suite(.serialized)
struct CanarySerialTests {
    private func runs(_ fleet: FleetFixture, _ arguments: String...) async throws -> String {
        let state = fleet.folder.url.appending(path: "gateway").path
        let command = try fleet.start(
            "runs-\(UUID().uuidString.prefix(8))",
            "groot-gateway",
            ["runs"] + arguments + [
                "--state-dir", state,
            ]
        )
        try await eventually(within: .seconds(60), "\(arguments) ends: \(command.lastLines())") { !command.isRunning }
        try #require(command.exitCode == 0, "\(arguments): \(command.lastLines())")
        return try command.standardOutput()
    }

    /// What a command that is refused says.
    private func refusedRuns(_ fleet: FleetFixture, _ arguments: [String]) async throws -> String {
        let state = fleet.folder.url.appending(path: "gateway").path
        let command = try fleet.start(
            "refused-\(UUID().uuidString.prefix(8))",
            "groot-gateway",
            ["runs"] + arguments + ["--state-dir", state]
        )
        try await eventually(within: .seconds(60), "\(arguments) ends: \(command.lastLines())") { !command.isRunning }
        #expect(command.exitCode != 0, "\(arguments)")
        return try command.logText()
    }

    /// An agent that is between two episodes, or in one, gets the change with its next one; the canary's episodes run on
    /// the other checkpoint, and its worker alone serves them.
    @Test(.timeLimit(.minutes(5)))
    func aChangeReachesTheAgentAndACanarySendsItsShareToAnotherCheckpoint() async throws {
        let fleet = try FleetFixture()
        // The same network under another name; another note makes it another checkpoint.
        let other = fleet.folder.url.appending(path: "groot-mini-2")
        try FileManager.default.copyItem(at: FleetFixture.root.appending(path: "policies/groot-mini"), to: other)
        let file = other.appending(path: "config.json")
        var config = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
        )
        config["note"] = "second"
        try JSONSerialization.data(withJSONObject: config).write(to: file)

        let gateway = try fleet.startGateway()
        let workers = [try fleet.startWorker(0), try fleet.startWorker(1, checkpoint: other)]
        let simulator = try fleet.startSimulator()
        for (process, port) in [(gateway, fleet.gatewayAdmin), (workers[0], fleet.workerAdmins[0])]
            + [(workers[1], fleet.workerAdmins[1])]
        {
            try await eventually(within: .seconds(90), "\(process.name) ready: \(process.lastLines())") {
                await fleet.isReady(port: port)
            }
        }
        try await eventually(within: .seconds(30), "both checkpoints are known") {
            try fleet.query("SELECT name FROM checkpoints ORDER BY name") == ["groot-mini", "groot-mini-2"]
        }
        // What nobody serves and what no agent reads is refused, before it can be put in force.
        for (arguments, part) in [
            (["--checkpoint", "groot-mini-3"], "no checkpoint groot-mini-3"),
            (["--config", #"{"blend": 150}"#], "no setting \"blend\""),
            (["--config", #"{"blend_ms": "150"}"#], "blend_ms"), (["--config", #"{"mode": "fast"}"#], "mode"),
        ] {
            let said = try await refusedRuns(fleet, ["save", "wrong"] + arguments)
            #expect(said.contains(part), "\(arguments): \(said)")
        }
        _ = try await runs(fleet, "save", "stable", "--config", #"{"blend_ms": 150}"#, "--checkpoint", "groot-mini")
        _ = try await runs(fleet, "save", "second", "--config", #"{"blend_ms": 250}"#, "--checkpoint", "groot-mini-2")
        _ = try await runs(fleet, "assign", "stable")

        let agent = try fleet.startAgent(
            task: "Depalletize the green box",
            seed: 1000,
            ["--episodes", "1000", "--episode-timeout", "2s"]
        )
        /// Waits until the newest finished episode ran with this run config, and returns what SQL says of it.
        func newest(_ name: String) async throws -> String {
            var row = ""
            try await eventually(within: .seconds(60), "an episode with \(name): \(agent.lastLines())") {
                row =
                    try fleet.query(
                        """
                        SELECT m.run_config_name || '@' || m.run_config_version, m.checkpoint, m.worker_share,
                            c.config ->> 'blend_ms'
                        FROM episode_metrics AS m JOIN run_configs AS c ON c.sha256 = m.run_config_sha256
                        WHERE m.outcome <> 'running' AND m.recorded_chunks > 0
                        ORDER BY m.started_at DESC LIMIT 1
                        """
                    ).first ?? ""
                return row.hasPrefix("\(name)@")
            }
            return row
        }
        #expect(try await newest("stable") == "stable@1|groot-mini|w1 100 %|150")
        // On trial for all episodes: the share decides by the episode's id, and all of them are below one.
        _ = try await runs(fleet, "assign", "second", "--share", "99.9%")
        #expect(try await newest("second") == "second@1|groot-mini-2|w2 100 %|250")
        _ = try await runs(fleet, "rollback")
        #expect(try await newest("stable") == "stable@1|groot-mini|w1 100 %|150")
        _ = try await runs(fleet, "assign", "second", "--share", "10%")
        _ = try await runs(fleet, "promote")
        #expect(try await newest("second") == "second@1|groot-mini-2|w2 100 %|250")
        #expect(agent.isRunning, "\(agent.lastLines()) \(simulator.lastLines())")

        // No episode ran half on one and half on the other; a used version is frozen.
        let mixed = try fleet.query(
            """
            SELECT count(*) FROM (
                SELECT episode_id FROM inferences WHERE status = 'OK' GROUP BY episode_id HAVING count(DISTINCT worker) > 1
            ) AS m
            """
        )
        #expect(mixed == ["0"])
        // The query fails unless the database refuses the change.
        _ = try fleet.query(
            """
            DO $$ BEGIN
                UPDATE run_config_versions SET config = '{}' WHERE name = 'stable';
                RAISE EXCEPTION 'a used run config was changed';
            EXCEPTION WHEN integrity_constraint_violation OR check_violation THEN NULL;
            END $$
            """
        )
    }
}
