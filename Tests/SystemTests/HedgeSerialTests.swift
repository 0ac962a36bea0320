import Foundation
import GrootTesting
import Testing

/// `--hedge` through the real gateway: a worker hangs with a robot's request, the second copy saves the episode.
@Suite(.serialized)
struct HedgeSerialTests {
    private struct Report: Decodable {
        var outcome: String
        var hedged: Int
        var chunks: Int
    }

    @Test(.timeLimit(.minutes(5)))
    func aHangingWorkerCostsOneHedgeAndNoEpisode() async throws {
        let fleet = try FleetFixture()
        let gateway = try fleet.startGateway()
        let workers = [try fleet.startWorker(0), try fleet.startWorker(1)]
        let simulator = try fleet.startSimulator()
        defer { for worker in workers { kill(worker.processIdentifier, SIGCONT) } }
        try await eventually(within: .seconds(60), "gateway ready: \(gateway.lastLines())") {
            await fleet.isReady(port: fleet.gatewayAdmin)
        }
        for index in 0...1 {
            try await eventually(within: .seconds(60), "worker ready: \(workers[index].lastLines())") {
                await fleet.isReady(port: fleet.workerAdmins[index])
            }
        }
        let agent = try fleet.startAgent(
            task: "Depalletize the green box",
            seed: 700_000,
            ["--hedge", "--no-run-config", "--chunk-size-threshold", "0.8"]
        )
        var victim: Int?
        // The first answers are slower and may move the robot to the other worker; then it stays.
        try await eventually(within: .seconds(60), "first chunks: \(agent.lastLines())") {
            let rows = try fleet.query("SELECT worker FROM inferences WHERE status = 'OK' ORDER BY sequence DESC")
            guard rows.count >= 4, let last = rows.first else { return false }
            victim = last == "w1" ? 0 : 1
            return true
        }
        // The last worker to answer hangs: stopped, not killed, so its connection stays and nothing is refused.
        let hanging = workers[try #require(victim)]
        kill(hanging.processIdentifier, SIGSTOP)
        try await eventually(within: .seconds(90), "the agent ends: \(agent.lastLines())") { !agent.isRunning }
        kill(hanging.processIdentifier, SIGCONT)
        #expect(agent.exitCode == 0, "\(agent.lastLines())")
        let line = try #require(try agent.outputLines().last { $0.hasPrefix("{") })
        let decoder = JSONDecoder()
        let report = try decoder.decode(Report.self, from: Data(line.utf8))
        #expect(report.outcome == "success", "\(line) \(simulator.lastLines())")
        #expect(report.hedged >= 1, "\(line)")
        try await eventually(within: .seconds(20), "the hedge is on record") {
            let hedged = try fleet.query("SELECT count(*) FROM inferences WHERE hedged AND status = 'OK'")
            return hedged.first.flatMap { Int($0) } ?? 0 >= 1
        }
    }
}
