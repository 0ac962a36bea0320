import Foundation
import GrootTesting
import Testing

/// `run`, `check` and `replay` at a gateway that believes certificates only.
@Suite(.serialized)
struct TLSCommandsSerialTests {
    private struct Authority {
        let folder: URL

        init(_ fixture: FleetFixture, _ name: String = "authority") throws {
            folder = fixture.folder.url.appending(path: name)
            try certs(fixture, ["init"])
            for (role, name) in [("gateway", "g1"), ("worker", "w1"), ("robot", "r1"), ("robot", "r2")] {
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

        /// - Parameter believing: whose certificates are believed; nil: this authority's.
        func flags(_ machine: String, believing other: Authority? = nil) -> [String] {
            let home = folder.appending(path: "machines/\(machine)")
            return [
                "--tls-certificate", home.appending(path: "certificate.pem").path,
                "--tls-key", home.appending(path: "key.pem").path,
                "--tls-authority", (other ?? self).folder.appending(path: "authority.pem").path,
            ]
        }
    }

    @Test(.timeLimit(.minutes(3)))
    func checkAndReplaySpeakTLSAndSayWhyNot() async throws {
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

        // docs/tls.md: who is not known gets no connection, 69; who is known and may not is refused, 65. `check` lists it.
        let foreign = try Authority(fleet, "foreign")
        let refusals: [(name: String, flags: [String], exit: Int32, words: String)] = [
            ("none", [], 69, "it ended the connection at once; if it wants TLS, name --tls-certificate"),
            (
                "foreign", foreign.flags("robot-r1", believing: authority), 69,
                "it does not know the authority of this agent's certificate"
            ),
            ("distrusting", authority.flags("robot-r1", believing: foreign), 69, "peer refused"),
            (
                "other", authority.flags("robot-r2"), 65,
                #"it refuses this agent: the certificate of robot/r2 does not allow to speak for robot "r1""#
            ),
            ("worker", authority.flags("worker-w1"), 65, "it refuses this agent: the certificate of worker/w1"),
        ]
        for refusal in refusals {
            for (command, arguments) in [("check", check), ("replay", replay)] {
                let process = try await run("\(command)-\(refusal.name)", arguments + refusal.flags)
                let said = try process.standardOutput() + process.logText()
                let expected = command == "check" ? 69 : refusal.exit
                #expect(process.exitCode == expected, "\(command) \(refusal.name): \(said.suffix(600))")
                #expect(said.contains(refusal.words), "\(command) \(refusal.name): \(said.suffix(600))")
            }
        }
        // Half a set of files is a usage error before anything else; a gateway in cleartext is told apart.
        for (name, arguments) in [("half-check", check), ("half-replay", replay)] {
            let half = try await run(name, arguments + robot.prefix(2))
            #expect(half.exitCode == 64, "\(half.lastLines())")
        }
        let cleartext = ["--gateway", "127.0.0.1:\(fleet.workerAdmins[0])"]
        let plain = try await run("plain", ["check", "--robot", "r1", "--seconds", "1"] + cleartext + master + robot)
        #expect(plain.exitCode == 69)
        let said = try plain.standardOutput()
        #expect(said.contains("it does not speak TLS"), "\(said.suffix(600))")
    }
}
