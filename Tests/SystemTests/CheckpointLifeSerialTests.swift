import Foundation
import FoundationNetworking
import GrootTesting
import Testing

/// The life of a checkpoint while robots move: loaded into a running worker, tried, promoted, rolled back, unloaded. Real
/// gateway, workers, simulator, agent and PostgreSQL.
@Suite(.serialized)
struct CheckpointLifeSerialTests {
    private struct State: Decodable {
        struct Worker: Decodable {
            var name: String
            var checkpoints: [String]
        }
        var workers: [Worker]
    }

    private struct Listing: Decodable {
        struct Served: Decodable {
            var name: String
        }
        var checkpoints: [Served]
    }

    @Test(.timeLimit(.minutes(5)))
    func loadCanaryPromoteRollBackUnload() async throws {
        let fleet = try FleetFixture()
        let other = fleet.folder.url.appending(path: "groot-mini-2")
        try FileManager.default.copyItem(at: FleetFixture.root.appending(path: "policies/groot-mini"), to: other)
        let file = other.appending(path: "config.json")
        var config = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        config["note"] = "second"
        try JSONSerialization.data(withJSONObject: config).write(to: file)

        let gateway = try fleet.startGateway()
        let workers = [
            try fleet.startWorker(0), try fleet.startWorker(1, ["--checkpoints", fleet.folder.url.path]),
        ]
        let simulator = try fleet.startSimulator()
        for (process, port) in [(gateway, fleet.gatewayAdmin)] + zip(workers, fleet.workerAdmins) {
            try await eventually(within: .seconds(90), "\(process.name) ready: \(process.lastLines())") {
                await fleet.isReady(port: port)
            }
        }
        try await eventually(within: .seconds(30), "the database knows what is served") {
            try fleet.query("SELECT name FROM checkpoints") == ["groot-mini"]
        }
        try await runs(fleet, "save", "stable", "--config", #"{"blend_ms": 150}"#, "--checkpoint", "groot-mini")
        try await runs(fleet, "assign", "stable")
        let agent = try fleet.startAgent(
            task: "Depalletize the green box",
            seed: 1000,
            ["--episodes", "1000", "--episode-timeout", "2s"]
        )
        #expect(try await newest(fleet, "stable", agent) == "stable@1|groot-mini")

        // Loaded: served by the worker, and within a second known to the gateway and to the database.
        let load = try await call(fleet.workerAdmins[1], "POST", "/checkpoints", #"{"directory": "\#(other.path)"}"#)
        #expect(load == 202)
        try await eventually(within: .seconds(60), "it is loaded: \(workers[1].lastLines())") {
            try await listed(fleet) == ["groot-mini", "groot-mini-2"]
        }
        try await eventually(within: .seconds(1), "the gateway knows it") {
            try await served(fleet, "w2").sorted() == ["groot-mini", "groot-mini-2"]
        }
        try await eventually(within: .seconds(5), "the database knows it") {
            try fleet.query("SELECT count(*) FROM checkpoints WHERE name = 'groot-mini-2'") == ["1"]
        }

        try await runs(fleet, "save", "second", "--config", #"{"blend_ms": 250}"#, "--checkpoint", "groot-mini-2")
        try await runs(fleet, "assign", "second", "--share", "99.9%")
        #expect(try await newest(fleet, "second", agent) == "second@1|groot-mini-2")
        try await runs(fleet, "promote")
        try await runs(fleet, "rollback")
        #expect(try await newest(fleet, "stable", agent) == "stable@1|groot-mini")

        // Unloaded: within a second it gets nothing more, and nobody ends.
        let unload = try await call(fleet.workerAdmins[1], "DELETE", "/checkpoints/groot-mini-2", "")
        #expect(unload == 200)
        try await eventually(within: .seconds(1), "the gateway knows it") {
            try await served(fleet, "w2") == ["groot-mini"]
        }
        let before =
            try fleet.query("SELECT count(*) FROM inferences WHERE status = 'OK'").first.flatMap { Int($0) } ?? 0
        try await eventually(within: .seconds(60), "robots move on: \(agent.lastLines())") {
            let now =
                try fleet.query("SELECT count(*) FROM inferences WHERE status = 'OK'").first.flatMap { Int($0) } ?? 0
            return now > before + 20
        }
        #expect(agent.isRunning, "\(agent.lastLines()) \(simulator.lastLines())")
        let failed = try fleet.query(
            "SELECT status || ' ' || count(*) FROM inferences WHERE status NOT IN ('OK', 'CANCELLED') GROUP BY status"
        )
        #expect(failed == [], "no request was lost to any of it")
        let starved = try fleet.query("SELECT coalesce(sum(starved_ticks), 0) FROM episodes WHERE outcome <> 'running'")
        #expect(starved == ["0"])
    }

    private func runs(_ fleet: FleetFixture, _ arguments: String...) async throws {
        let state = fleet.folder.url.appending(path: "gateway").path
        let command = try fleet.start(
            "runs-\(UUID().uuidString.prefix(8))",
            "groot-gateway",
            ["runs"] + arguments + ["--state-dir", state]
        )
        try await eventually(within: .seconds(60), "\(arguments) ends: \(command.lastLines())") { !command.isRunning }
        try #require(command.exitCode == 0, "\(arguments): \(command.lastLines())")
    }

    /// Waits until the newest finished episode ran with this run config, and returns what it ran on.
    private func newest(_ fleet: FleetFixture, _ name: String, _ agent: ChildProcess) async throws -> String {
        var row = ""
        try await eventually(within: .seconds(60), "an episode with \(name): \(agent.lastLines())") {
            row =
                try fleet.query(
                    """
                    SELECT run_config_name || '@' || run_config_version, checkpoint FROM episode_metrics
                    WHERE outcome <> 'running' AND recorded_chunks > 0 ORDER BY started_at DESC LIMIT 1
                    """
                ).first ?? ""
            return row.hasPrefix("\(name)@")
        }
        return row
    }

    private func served(_ fleet: FleetFixture, _ worker: String) async throws -> [String] {
        let text = try #require(await fleet.get(port: fleet.gatewayAdmin, "/state"))
        let state = try JSONDecoder().decode(State.self, from: Data(text.utf8))
        return state.workers.first { $0.name == worker }?.checkpoints ?? []
    }

    /// What the second worker says of itself on its own admin listener.
    private func listed(_ fleet: FleetFixture) async throws -> [String] {
        let text = try #require(await fleet.get(port: fleet.workerAdmins[1], "/checkpoints"))
        return try JSONDecoder().decode(Listing.self, from: Data(text.utf8)).checkpoints.map(\.name).sorted()
    }

    private func call(_ port: Int, _ method: String, _ path: String, _ body: String) async throws -> Int {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)\(path)")))
        request.httpMethod = method
        if !body.isEmpty { request.httpBody = Data(body.utf8) }
        let (_, answer) = try await URLSession.shared.data(for: request)
        return (answer as? HTTPURLResponse)?.statusCode ?? 0
    }
}
