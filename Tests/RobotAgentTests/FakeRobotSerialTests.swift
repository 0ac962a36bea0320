import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// The built agent against Debian's rosmaster and a robot in rospy: rates, units, order of services, and what every
/// way out leaves behind.
@Suite(.serialized)
struct FakeRobotSerialTests {
    private struct Line: Decodable {
        var event: String
        var name: String?
        var value: Value?
        var commands: Int
        var rate: Double?
        var silent: Double?
        var worstStep: Double?
        var problems: [String]?
    }

    /// A service's argument: a number or a truth value.
    private struct Value: Decodable, CustomStringConvertible {
        var description: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                description = "\(number)"
            } else {
                description = try container.decode(Bool.self) ? "on" : "off"
            }
        }
    }

    private struct Cell {
        var robot: ChildProcess
        var agent: ChildProcess

        func lines() throws -> [Line] {
            try robot.standardOutput().split(separator: "\n").map {
                try JSONDecoder().decode(Line.self, from: Data($0.utf8))
            }
        }

        func services() throws -> [String] {
            try lines().filter { $0.event == "service" }.map { "\($0.name ?? "") \($0.value?.description ?? "")" }
        }

        func summary() throws -> Line? { try lines().last { $0.event == "summary" } }
    }

    enum WayOut: String, CaseIterable, Sendable {
        case terminate
        case interrupt
        /// No warning and no chance to act: the guard has to.
        case kill
        case gatewayLost
    }

    @Test(.timeLimit(.minutes(3)), arguments: WayOut.allCases)
    func everyWayOutHandsTheArmsBack(way: WayOut) async throws {
        // Both generations of definitions get their share.
        let isNew = way == .terminate || way == .kill
        let expected = isNew ? ("quick_mode 2", "quick_mode 0") : ("quick_mode on", "quick_mode off")
        let directory = try TemporaryDirectory()
        let ports = try FreePorts.take(2)
        let master = try start("master", ["master", "\(ports[0])"], ports[0], directory)
        _ = master
        let fleet = ScriptedFleet()
        var cell: Cell?
        try await withGateway(fleet, port: ports[1]) { gateway in
            let running = try await startCell(isNew ? "NEW" : "OLD", ports[0], gateway, directory)
            cell = running
            try await eventually(within: .seconds(60), "two seconds of motion: \(running.agent.lastLines(5))") {
                let ok = fleet.records.count { $0.status == "OK" }
                return try (running.summary()?.commands ?? 0) > 250 && ok >= 2
            }
            #expect(try running.services() == ["arm_mode 2", expected.0])
            let summary = try #require(try running.summary())
            #expect((95...105).contains(summary.rate ?? 0), "commands arrive at 100 Hz: \(summary.rate ?? 0)")
            switch way {
            case .terminate: running.agent.terminate()
            case .interrupt: Foundation.kill(running.agent.processIdentifier, SIGINT)
            case .kill: running.agent.kill()
            case .gatewayLost: break
            }
            // Leaving this scope is the end of the gateway.
            if way == .gatewayLost { return }
            try await eventually(within: .seconds(20), "the arms are handed back") {
                try running.services().count == 4
            }
        }
        let running = try #require(cell)
        try await eventually(within: .seconds(30), "the arms are handed back: \(running.agent.lastLines(8))") {
            try running.services().count == 4
        }
        #expect(try running.services().suffix(2) == [expected.1, "arm_mode 0"])
        try await eventually(within: .seconds(10), "the robot stands") { (try running.summary()?.silent ?? 0) > 1 }
        let summary = try #require(try running.summary())
        #expect(summary.problems == [])
        #expect((summary.worstStep ?? 1) < 0.031, "3 rad/s at most: \(summary.worstStep ?? 1) rad in a tick")
        let handedBack = try running.lines().filter { $0.event == "service" }.last
        #expect(handedBack?.commands == summary.commands, "nothing is published after the hand-back")
        try await eventually(within: .seconds(20), "the agent ends") { running.agent.exitCode != nil }
        switch way {
        case .terminate, .interrupt: #expect(running.agent.exitCode == 0)
        case .kill: break
        case .gatewayLost: #expect(running.agent.exitCode == ProcessExit.safety.rawValue)
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: ["OLD", "NEW"])
    func checkNamesEverything(generation: String) async throws {
        let directory = try TemporaryDirectory()
        let port = try FreePorts.take(1)[0]
        let master = try start("master", ["master", "\(port)"], port, directory)
        let robot = try start("robot", ["robot", generation], port, directory)
        try await eventually(within: .seconds(30), "the robot is there: \(robot.lastLines())") {
            try robot.standardOutput().contains("summary")
        }
        let check = try ChildProcess(
            "check",
            executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
            arguments: [
                "check", "--robot", "r1", "--profile", "5_wheel", "--ros-master", "http://127.0.0.1:\(port)",
                "--seconds", "2",
            ],
            folder: directory.url
        )
        try await eventually(within: .seconds(40), "the check ends") { check.exitCode != nil }
        let text = try check.standardOutput()
        #expect(check.exitCode == ProcessExit.unavailable.rawValue, "the side and wrist cameras are missing")
        #expect(text.contains("/left_cam/color/image_raw: nobody publishes it"))
        #expect(!text.contains("/camera/color/image_raw: "), "\(text)")
        #expect(text.contains("16x12 rgb8") && text.contains("20 joints") && text.contains("2 claws"))
        let isNew = generation == "NEW"
        #expect(text.contains(isNew ? "35fff741b8e115992c1ac46e99c1084f" : "54439d3ac2ef33d46fd7cf6d324860c3"))
        #expect(text.contains(isNew ? "1248da117aa3afe53a9556373bbf4d3d" : "71c0eb8f4803a00f5667de51a2f70aac"))
        #expect(text.contains(isNew ? "8f6c979af573879a9cb6f5c0c50c2be4" : "09fb03525b03e7ea1fd3992bafd87e16"))
        #expect(text.contains("/wheel_arm_change_arm_ctrl_mode"))
        _ = master
    }

    private func startCell(
        _ generation: String,
        _ master: Int,
        _ gateway: Int,
        _ directory: TemporaryDirectory
    ) async throws -> Cell {
        let robot = try start("robot", ["robot", generation], master, directory)
        try await eventually(within: .seconds(30), "the robot is there: \(robot.lastLines())") {
            try robot.standardOutput().contains("summary")
        }
        // The holds of the real profile are longer than a test wants to wait.
        var profile = try ProfileCatalog.load("5_wheel")
        profile.limits.linkHoldMs = 1500
        profile.limits.holdMs = 1500
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let file = directory.url.appending(path: "profile.json")
        try encoder.encode(profile).write(to: file)
        let agent = try ChildProcess(
            "agent",
            executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
            arguments: [
                "--robot", "r1", "--profile", file.path, "--gateway", "127.0.0.1:\(gateway)",
                "--ros-master", "http://127.0.0.1:\(master)", "--episode-timeout", "100s",
                "--state-dir", directory.url.appending(path: "state").path,
            ],
            folder: directory.url
        )
        return Cell(robot: robot, agent: agent)
    }

    private func start(
        _ name: String,
        _ arguments: [String],
        _ master: Int,
        _ directory: TemporaryDirectory
    ) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: URL(filePath: "/usr/bin/python3"),
            arguments: [AllocationSerialTests.peers.appending(path: "fake_robot.py").path] + arguments,
            environment: ["ROS_MASTER_URI": "http://127.0.0.1:\(master)", "ROS_HOSTNAME": "127.0.0.1"],
            folder: directory.url
        )
    }
}
