import Foundation
import GrootTesting
import Testing

/// `groot-agent compare` against a started fleet: the guide's table of modes, filled with measurements.
@Suite(.serialized)
struct CompareSerialTests {
    @Test(.timeLimit(.minutes(6)))
    func theTableOfModesIsMeasured() async throws {
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
        let modes = ["sync", "async", "rtc"]
        let compare = try fleet.start(
            "compare",
            "groot-agent",
            [
                "compare", "--robot", "r1", "--task", "Depalletize the green box", "--seed", "700000",
                "--modes", modes.joined(separator: ","),
                "--gateway", "127.0.0.1:\(fleet.gatewayPort)",
                "--ros-master", "http://127.0.0.1:\(fleet.masterPort)",
                "--state-dir", fleet.folder.url.appending(path: "agent").path,
            ]
        )
        try await eventually(within: .seconds(240), "the comparison ends: \(compare.lastLines())") {
            !compare.isRunning
        }
        #expect(compare.exitCode == 0, "\(compare.lastLines()) \(simulator.lastLines())")

        let text = try compare.standardOutput()
        let lines = text.split(separator: "\n").map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        #expect(lines.first == ["measured"] + modes, "\(text)")
        var table: [String: [Double]] = [:]
        for line in lines.dropFirst(2) {
            // "1/1" counts as 1.
            let values = line.dropFirst().compactMap { Double($0.prefix { $0 != "/" }) }
            #expect(values.count == modes.count, "every cell is a number: \(line)")
            table[line[0]] = values
        }
        for name in ["success", "duration", "starved ticks", "observation age", "control period jitter", "jerk"] {
            #expect(table.keys.contains { $0.hasPrefix(name) }, "\(name) is missing in \(text)")
        }
        #expect(table["success"] == [1, 1, 1], "\(text)")
        let starved = try #require(table["starved ticks"])
        #expect(starved[0] > 0, "sync stands while the policy thinks")
        // What an action rests on is at least as old as its answer took, and at most a chunk older.
        let ages = try #require(table["observation age when its action executes, mean ms"])
        let latencies = try #require(table["capture to merge, p50 ms"])
        for (age, latency) in zip(ages, latencies) { #expect(age > latency && age < latency + 1600, "\(text)") }

        // The database knows which episode ran in which mode.
        try await eventually(within: .seconds(20), "three episodes are stored") {
            try fleet.query("SELECT mode FROM episodes WHERE outcome = 'success' ORDER BY started_at") == modes
        }
    }
}
