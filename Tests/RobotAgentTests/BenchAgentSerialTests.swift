import Foundation
import GrootTesting
import Testing

/// `make bench-agent` in short: the agent's commands and a rospy loop's reach a TCPROS subscriber, and the figures are there.
struct BenchAgentSerialTests {
    private static let python = "/usr/bin/python3"
    private static let hasROS =
        ProcessInfo.processInfo.environment["CI"] == "true"
        || FileManager.default.fileExists(atPath: "/usr/lib/python3/dist-packages/rospy/__init__.py")

    private struct Row: Decodable {
        var published: UInt64?
        var leftOut: UInt64?
        var arrived: Int
        var arrivalsExpected: Int
        var arrivalP99Us: Double
        var p99Us: Double
    }

    @Test(.timeLimit(.minutes(2)), .enabled(if: hasROS, "needs apt packages python3-rosmaster python3-rospy"))
    func commandsArriveAtARealSubscriber() async throws {
        let directory = try TemporaryDirectory()
        let results = directory.url.appending(path: "rows.json")
        let agent = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "groot-agent")
        let bench = try ChildProcess(
            "bench_agent",
            executable: URL(filePath: Self.python),
            arguments: [
                RepositoryRoot.url.appending(path: "scripts/bench_agent.py").path, "--seconds", "2", "--condition",
                "idle",
                "--together", "--agent", agent.path, "--results", results.path,
            ],
            folder: directory.url
        )
        try await eventually(within: .seconds(100), "the bench ends") { bench.exitCode != nil }
        try #require(bench.exitCode == 0, "\(bench.lastLines())")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let rows = try decoder.decode([String: Row].self, from: Data(contentsOf: results))
        #expect(Set(rows.keys) == ["agent, real time, idle", "agent, no real time, idle", "rospy loop, idle"])
        for (name, row) in rows {
            #expect(row.arrived > 50 && row.arrived <= row.arrivalsExpected + 1, "\(name)")
            guard let published = row.published else { continue }
            #expect(row.leftOut == 0, "\(name): nobody was slow")
            #expect(row.arrived == Int(published), "\(name): what was published arrives, all of it")
        }
    }
}
