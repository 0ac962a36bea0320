import Foundation
import GrootTesting
import Testing

/// The built executables, a real PostgreSQL, rendered cameras: one worker is killed while the robot carries a box.
@Suite(.serialized)
struct WorkerLossSerialTests {
    /// What `groot-agent --json` prints for one episode.
    struct EpisodeReport: Decodable {
        var episode: String
        var outcome: String
        var chunks: Int
        var starvedTicks: Int
        var ticks: Int
        var failedInferences: Int

        enum CodingKeys: String, CodingKey {
            case episode, outcome, chunks, ticks
            case starvedTicks = "starved_ticks"
            case failedInferences = "failed_inferences"
        }
    }

    @Test(.timeLimit(.minutes(4)))
    func anEpisodeSurvivesTheDeathOfAWorkerAndSQLAgreesWithTheAgent() async throws {
        let fleet = try FleetFixture()
        let gateway = try fleet.startGateway()
        let workers = [try fleet.startWorker(0), try fleet.startWorker(1)]
        let simulator = try fleet.startSimulator()
        try await eventually(within: .seconds(60), "gateway ready: \(gateway.lastLines())") {
            await fleet.isReady(port: fleet.gatewayAdmin)
        }
        for index in 0...1 {
            try await eventually(within: .seconds(60), "worker ready: \(workers[index].lastLines())") {
                await fleet.isReady(port: fleet.workerAdmins[index])
            }
        }

        let agent = try fleet.startAgent(task: "Depalletize the green box", seed: 1000)
        // In mid-episode: some chunks were executed. The victim is a worker that has answered this robot.
        var victim: Int?
        try await eventually(within: .seconds(60), "first chunks: \(agent.lastLines())") {
            let rows = try fleet.query(
                "SELECT worker, count(*) FROM inferences WHERE status = 'OK' GROUP BY worker ORDER BY 2 DESC"
            )
            guard rows.reduce(0, { $0 + (Int($1.split(separator: "|")[1]) ?? 0) }) >= 2 else { return false }
            victim = rows[0].hasPrefix("w1|") ? 0 : 1
            return true
        }
        let killed = try #require(victim)
        workers[killed].kill()
        #expect(agent.isRunning, "the episode was over before the worker was killed")

        try await eventually(within: .seconds(90), "the agent ends: \(agent.lastLines())") { !agent.isRunning }
        #expect(agent.exitCode == 0, "\(agent.lastLines())")
        let line = try #require(try agent.outputLines().last { $0.hasPrefix("{") })
        let report = try JSONDecoder().decode(EpisodeReport.self, from: Data(line.utf8))
        #expect(report.outcome == "success", "\(simulator.lastLines())")

        // The database agrees with what the agent did.
        let episode = try fleet.query(
            """
            SELECT outcome, chunks, starved_ticks, ticks, failed_inferences FROM episodes
            WHERE episode_id = '\(report.episode)'
            """
        )
        #expect(
            episode == [
                "\(report.outcome)|\(report.chunks)|\(report.starvedTicks)|\(report.ticks)|\(report.failedInferences)"
            ]
        )
        let answered = try fleet.query(
            "SELECT count(*) FROM inferences WHERE episode_id = '\(report.episode)' AND status = 'OK'"
        )
        #expect(answered == ["\(report.chunks)"])
        let metrics = await fleet.get(port: fleet.gatewayAdmin, "/metrics") ?? ""
        let series = #"groot_gateway_robot_requests_total{class="simulator"}"#
        #expect(metrics.contains(series), "the agent names its class")
        // The survivor carried on, and the killed worker was asked for nothing after its death.
        let workersInOrder = try fleet.query(
            "SELECT worker FROM inferences WHERE episode_id = '\(report.episode)' AND status = 'OK' ORDER BY sequence"
        )
        #expect(workersInOrder.last == "w\(2 - killed)")
        // Starved ticks, if any, were said in the status summary.
        if report.starvedTicks > 0 {
            #expect(try agent.logText().contains("No action available"))
        }

        gateway.terminate()
        try await eventually(within: .seconds(30), "the gateway drains: \(gateway.lastLines())") { !gateway.isRunning }
        #expect(gateway.exitCode == 0)
    }
}
