import Foundation
import GrootTesting
import Testing

/// A run config changed in the database reaches an agent between two episodes, through the real gateway.
@Suite(.serialized)
struct RunConfigSerialTests {
    @Test(.timeLimit(.minutes(5)))
    func aChangeInTheDatabaseReachesAnAgentBetweenEpisodes() async throws {
        let fleet = try FleetFixture()
        let gateway = try fleet.startGateway()
        let worker = try fleet.startWorker(0)
        let simulator = try fleet.startSimulator()
        try await eventually(within: .seconds(60), "gateway ready: \(gateway.lastLines())") {
            await fleet.isReady(port: fleet.gatewayAdmin)
        }
        try await eventually(within: .seconds(60), "worker ready: \(worker.lastLines())") {
            await fleet.isReady(port: fleet.workerAdmins[0])
        }
        func runs(_ arguments: String...) async throws {
            let child = try fleet.start(
                "runs-\(arguments[0])-\(arguments[1])",
                "groot-gateway",
                ["runs"] + arguments + ["--state-dir", fleet.folder.url.appending(path: "gateway").path]
            )
            try await eventually(within: .seconds(30), "runs ends: \(child.lastLines())") { !child.isRunning }
            #expect(child.exitCode == 0, "\(child.lastLines())")
        }
        try await runs("save", "steady", "--config", #"{"mode": "async", "chunk_size_threshold": 0.4}"#)
        try await runs("assign", "steady", "--robot", "r1")
        let agent = try fleet.startAgent(
            task: "Depalletize the green box",
            seed: 700_000,
            ["--episodes", "2", "--blend-ms", "150"]
        )
        try await eventually(within: .seconds(60), "the first episode moves: \(agent.lastLines())") {
            try fleet.query("SELECT 1 FROM inferences WHERE status = 'OK' LIMIT 1") == ["1"]
        }
        // In mid-episode: what runs keeps what it has, the next one gets the new settings.
        try await runs("save", "brisk", "--config", #"{"mode": "rtc", "blend_ms": 70}"#)
        try await runs("assign", "brisk", "--robot", "r1")
        try await eventually(within: .seconds(120), "the agent ends: \(agent.lastLines())") { !agent.isRunning }
        #expect(agent.exitCode == 0, "\(agent.lastLines()) \(simulator.lastLines())")
        let episodes = try fleet.query(
            """
            SELECT c.config->>'run_config', e.mode, c.config->>'chunk_size_threshold', c.config->>'blend_ms'
            FROM episodes e JOIN run_configs c ON c.sha256 = e.run_config_sha256 ORDER BY e.started_at
            """
        )
        #expect(episodes == ["steady v1|async|0.4|150", "brisk v1|rtc|0.5|150"], "a flag given by hand wins")
        // What the agent printed is what was stored.
        let log = try agent.logText()
        #expect(log.contains("steady v1") && log.contains("brisk v1"))
    }
}
