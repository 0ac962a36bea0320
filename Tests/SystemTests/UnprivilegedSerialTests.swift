import Foundation
import GrootTesting
import Testing

/// Robot side processes as their systemd units run them: without the capabilities of root.
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
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("CapEff:") })
        let held = UInt64(line.dropFirst("CapEff:".count).trimmingCharacters(in: .whitespaces), radix: 16)
        #expect(try #require(held) & ~Self.granted == 0, "the simulator holds \(line)")
    }

    private func startCheck(_ fleet: FleetFixture) throws -> ChildProcess {
        try fleet.start(
            "check",
            "groot-agent",
            ["check", "--robot", "r1", "--ros-master", "http://127.0.0.1:\(fleet.masterPort)", "--seconds", "1"]
        )
    }
}
