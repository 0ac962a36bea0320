import Foundation
import GrootTesting
import Testing

/// `run`, `check` and `replay` at a gateway that believes certificates only.
@Suite(.serialized)
struct TLSCommandsSerialTests {
    private struct Authority {
        let folder: URL

        init(_ fixture: FleetFixture) throws {
            folder = fixture.folder.url.appending(path: "authority")
            try certs(fixture, ["init"])
            for (role, name) in [("gateway", "g1"), ("worker", "w1"), ("robot", "r1")] {
                try certs(fixture, ["issue", role, name, "--ip", "127.0.0.1"])
            }
        }

        private func certs(_ fixture: FleetFixture, _ arguments: [String]) throws {
            let process = Process()
            process.executableURL = FleetFixture.binaries.appending(path: "groot-gateway")
            process.arguments = ["certs"] + arguments + ["--directory", folder.path]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "certs \(arguments)")
        }

        func flags(_ machine: String) -> [String] {
            let home = folder.appending(path: "machines/\(machine)")
            return [
                "--tls-certificate", home.appending(path: "certificate.pem").path,
                "--tls-key", home.appending(path: "key.pem").path,
                "--tls-authority", home.appending(path: "authority.pem").path,
            ]
        }
    }

    @Test(.timeLimit(.minutes(3)))
    func checkAndReplaySpeakTLS() async throws {
        let fleet = try FleetFixture()
        let authority = try Authority(fleet)
        let gateway = try fleet.start(
            "gateway",
            "groot-gateway",
            [
                "--workers", "127.0.0.1:\(fleet.workerPorts[0])", "--listen", "127.0.0.1:\(fleet.gatewayPort)",
                "--admin", "127.0.0.1:\(fleet.gatewayAdmin)",
                "--state-dir", fleet.folder.url.appending(path: "gateway").path,
                "--worker-tls-authority", authority.folder.appending(path: "authority.pem").path,
            ] + authority.flags("gateway-g1")
        )
        let worker = try fleet.startWorker(0, authority.flags("worker-w1"))
        let simulator = try fleet.startSimulator()
        try await eventually(within: .seconds(60), "ready: \(gateway.lastLines()) \(worker.lastLines())") {
            await fleet.get(port: fleet.gatewayAdmin, "/readyz") != nil
        }
        let tape = fleet.folder.url.appending(path: "tape")
        let robot = authority.flags("robot-r1")
        let agent = try fleet.startAgent(
            task: "Depalletize the green box",
            seed: 700_000,
            ["--record", tape.path, "--episode-timeout", "6s"] + robot
        )
        try await eventually(within: .seconds(60), "an episode: \(agent.lastLines()) \(simulator.lastLines(3))") {
            !agent.isRunning
        }
        #expect(agent.exitCode == 0, "\(agent.lastLines())")

        let address = ["--gateway", "127.0.0.1:\(fleet.gatewayPort)"]
        let master = ["--ros-master", "http://127.0.0.1:\(fleet.masterPort)"]
        let file = try #require(try FileManager.default.contentsOfDirectory(atPath: tape.path).first)
        let replay = ["replay", tape.appending(path: file).path, "--robot", "r1", "--every", "2"] + address
        let check = ["check", "--robot", "r1", "--seconds", "1"] + address + master
        func run(_ name: String, _ arguments: [String]) async throws -> ChildProcess {
            let process = try fleet.start(name, "groot-agent", arguments)
            try await eventually(within: .seconds(40), "\(name): \(process.lastLines())") { !process.isRunning }
            return process
        }
        let replayed = try await run("replay", replay + robot)
        #expect(replayed.exitCode == 0, "\(replayed.lastLines())")
        #expect(try replayed.standardOutput().contains("mean joint error"))
        let checked = try await run("check", check + robot)
        #expect(try checked.standardOutput().contains("serves    groot-mini (onnx): fits"), "\(checked.lastLines())")
        #expect(checked.exitCode == 0, "\(checked.lastLines())")
        #expect(try checked.standardOutput().contains("Nothing prevents a start."))

        // Without a certificate neither gets an answer, and half a set of files is a usage error before anything else.
        let bare = try await run("bare", check)
        #expect(bare.exitCode == 69, "\(bare.lastLines())")
        #expect(try bare.standardOutput().contains("gateway 127.0.0.1:\(fleet.gatewayPort): "))
        let half = try await run("half", check + robot.prefix(2))
        #expect(half.exitCode == 64, "\(half.lastLines())")
    }
}
