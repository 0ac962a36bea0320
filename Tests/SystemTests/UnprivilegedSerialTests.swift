import Foundation
import GrootTesting
import Testing

/// Robot side processes as their systemd units run them: without the capabilities of root.
@Suite(.serialized)
struct UnprivilegedSerialTests {
    /// Bits of `CapEff` in `/proc/PID/status`: real-time priority and locked memory, which the units grant as limits.
    private static let granted: UInt64 = 1 << 23 | 1 << 14

    @Test(.timeLimit(.minutes(2)))
    func anAgentFindsASimulatorWithoutPrivileges() async throws {
        let fleet = try FleetFixture()
        let simulator = try fleet.startSimulator()
        var check = try startCheck(fleet)
        try await eventually(within: .seconds(90), "the agent finds the robot: \(simulator.lastLines())") {
            // A check that came before the simulator is repeated.
            if let code = check.exitCode, code != 0 { check = try startCheck(fleet) }
            return check.exitCode == 0
        }
        #expect(try check.standardOutput().contains("Nothing prevents a start."))
        let status = try String(contentsOfFile: "/proc/\(simulator.processIdentifier)/status", encoding: .utf8)
        try expectUnprivileged(status)
    }

    /// However a test starts an agent or a simulator, capabilities are given up where processes are started.
    @Test(.timeLimit(.minutes(1)), arguments: ["groot-agent", "groot-sim"])
    func whatStartsThemHasNoPrivilegesToPassOn(name: String) async throws {
        let folder = try TemporaryDirectory()
        let path = FleetFixture.binaries.appending(path: name).path
        let read = "open('/proc/self/status').read()"
        for (shell, arguments) in [
            ("/bin/bash", ["-c", "cat /proc/self/status; exit; '\(path)' --robot r1"]),
            ("/usr/bin/python3", ["-c", "print(\(read))", "terminal", path]),
        ] {
            let process = try ChildProcess(
                "shell",
                executable: URL(filePath: shell),
                arguments: arguments,
                folder: folder.url
            )
            try await eventually("\(shell) ends") { process.exitCode != nil }
            try expectUnprivileged(try process.standardOutput())
        }
    }

    private func expectUnprivileged(_ status: String) throws {
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("CapEff:") })
        let held = UInt64(line.dropFirst("CapEff:".count).trimmingCharacters(in: .whitespaces), radix: 16)
        #expect(try #require(held) & ~Self.granted == 0, "\(line)")
    }

    private func startCheck(_ fleet: FleetFixture) throws -> ChildProcess {
        try fleet.start(
            "check",
            "groot-agent",
            ["check", "--robot", "r1", "--ros-master", "http://127.0.0.1:\(fleet.masterPort)", "--seconds", "1"]
        )
    }
}
