import Foundation
import GrootCore
import GrootTesting
import Testing

/// The client command lines of the ancestor's guide, with nothing but the script's name replaced, against a whole fleet.
@Suite(.serialized)
struct GuideCommandsSerialTests {
    /// One command, backslashes, comments and all.
    static func clients() throws -> [String] {
        let file = FleetFixture.root.appending(path: "Tests/SystemTests/Fixtures/guide_clients.txt")
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n\n").map(String.init)
    }

    /// Behind a backslash a comment ends the line in any shell; this is what its author meant.
    private static func withoutComments(_ command: String) -> String {
        command.split(separator: "\n").map { line in
            line.firstRange(of: /\\ +#.*/).map { line[..<$0.lowerBound] + "\\" } ?? line
        }.joined(separator: "\n")
    }

    private struct Fleet {
        let fixture: FleetFixture
        let gateway: ChildProcess
        let worker: ChildProcess
        let simulator: ChildProcess

        init() async throws {
            fixture = try FleetFixture()
            gateway = try fixture.startGateway()
            worker = try fixture.startWorker(0)
            simulator = try fixture.startSimulator()
            try await eventually(within: .seconds(60), "gateway ready: \(gateway.lastLines())") {
                await fixture.get(port: fixture.gatewayAdmin, "/readyz") != nil
            }
            try await eventually(within: .seconds(60), "worker ready: \(worker.lastLines())") {
                await fixture.get(port: fixture.workerAdmins[0], "/readyz") != nil
            }
        }

        /// Runs a command of the guide in a shell and waits for its end; standard output ends with its exit code.
        func run(_ name: String, _ command: String, _ more: String = "") async throws -> ChildProcess {
            let agent = FleetFixture.binaries.appending(path: "groot-agent").path
            let script =
                "cd '\(fixture.folder.url.path)'; client() { '\(agent)' --robot r1 \(more) \"$@\"; echo \"exit $?\"; }; "
                + command.replacing("python scripts/eval_depalletize_async.py", with: "client")
                .replacing("127.0.0.1:8080", with: "127.0.0.1:\(fixture.gatewayPort)")
            let shell = try ChildProcess(
                name,
                executable: URL(filePath: "/bin/bash"),
                arguments: ["-c", script],
                environment: ["ROS_MASTER_URI": "http://127.0.0.1:\(fixture.masterPort)"],
                folder: fixture.folder.url
            )
            try await eventually(within: .seconds(60), "\(name) ends: \(shell.lastLines(5))") {
                try shell.standardOutput().contains("exit ")
            }
            return shell
        }
    }

    @Test(.timeLimit(.minutes(4)))
    func theGuidesCommandLinesStartAndSucceed() async throws {
        let fleet = try await Fleet()
        let clients = try Self.clients()
        try #require(clients.count == 3)
        // Their episodes last 45 s when nothing is grasped, which "Depalletize the box" leaves open.
        let short = "--episode-timeout 4s"
        for (index, client) in clients.enumerated() {
            let shell = try await fleet.run("guide\(index + 1)", Self.withoutComments(client), short)
            let log = try shell.logText()
            #expect(try shell.standardOutput().hasSuffix("exit 0\n"), "\(shell.lastLines())")
            #expect(log.contains("episode finished"), "\(shell.lastLines())")
            func said(_ text: String) -> Int { log.components(separatedBy: text).count - 1 }
            #expect(said("--action-chunk-size 20: checkpoint groot-mini answers 16 rows") == 1)
            #expect(said("--fps 30: robot simulator is commanded at 100 Hz") == 1)
            #expect(said("groot-mini, which they have loaded, is used") == 1)
            #expect(said("--lerobot-dataset-path is not needed") == (index == 0 ? 0 : 1))
            #expect(said(#""level":"error""#) == 0, "\(shell.lastLines())")
            // The shipped policy asks for a little more than some joints have, in a quarter of its ticks: that is its noise.
            if index == 0 { #expect(said("position_limited") == 0, "\(shell.lastLines())") }
        }
        // As it stands in the guide, a comment cuts the line short: it starts, and says which flags did not arrive.
        let cut = try await fleet.run("cut", clients[1], short)
        #expect(try cut.standardOutput().hasPrefix("exit 0\n"), "\(cut.lastLines())")
        #expect(try cut.logText().contains("flags on the lines below did not arrive"), "\(cut.lastLines())")

        let strict = try await fleet.run("strict", Self.withoutComments(clients[0]), "--strict")
        #expect(try strict.standardOutput().hasSuffix("exit 64\n"), "\(strict.lastLines())")
        for flag in ["--action-chunk-size 20", "--fps 30", "--ckpt-path /path/to/your/checkpoint"] {
            #expect(try strict.logText().contains(flag), "\(strict.lastLines())")
        }
        // While a worker is away, what nobody serves may still come: that is waited for. With all of them there it is wrong.
        let second = try fleet.fixture.startWorker(1)
        try await eventually(within: .seconds(60), "both workers are up: \(second.lastLines())") {
            let state = await fleet.fixture.get(port: fleet.fixture.gatewayAdmin, "/state")
            return state?.contains(#""up":true"#) == true && state?.contains(#""up":false"#) == false
        }
        let started = ContinuousClock.now
        let wrong = try await fleet.run(
            "wrong",
            "client --server_address=127.0.0.1:8080 --checkpoint groot-maxi"
        )
        #expect(try wrong.standardOutput().hasSuffix("exit 65\n"), "\(wrong.lastLines())")
        #expect(ContinuousClock.now - started < .seconds(20), "it waits for nothing")
        #expect(try wrong.logText().contains("groot-maxi"), "\(wrong.lastLines())")
        #expect(try wrong.logText().contains("served are: groot-mini"), "\(wrong.lastLines())")

        // A clean end logs no error, in any process of the fleet.
        for process in [fleet.simulator, fleet.worker, second, fleet.gateway] {
            process.terminate()
            try await eventually(within: .seconds(30), "\(process.name) ends") { !process.isRunning }
            #expect(process.exitCode == 0, "\(process.lastLines())")
            #expect(try !process.logText().contains(#""level":"error""#), "\(process.name): \(process.lastLines())")
        }
    }
}
