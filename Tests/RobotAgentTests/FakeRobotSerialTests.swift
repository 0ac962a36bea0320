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
            try robot.outputLines().map {
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

    /// A suspended agent (debugger, sleeping machine) neither leaps nor replays what it missed when it wakes up.
    @Test(.timeLimit(.minutes(3)))
    func aSuspendedAgentHoldsAndGoesOn() async throws {
        let directory = try TemporaryDirectory()
        let port = try FreePorts.take(1)[0]
        let master = try start("master", ["master", "\(port)"], port, directory)
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let cell = try await startCell("OLD", port, gateway, directory)
            try await eventually(within: .seconds(60), "the robot moves: \(cell.agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 2
            }
            Foundation.kill(cell.agent.processIdentifier, SIGSTOP)
            try await eventually(within: .seconds(20), "the robot hears nothing") {
                (try cell.summary()?.silent ?? 0) > 0.8
            }
            Foundation.kill(cell.agent.processIdentifier, SIGCONT)
            try await eventually(within: .seconds(20), "the jump is on record") {
                fleet.events.contains { $0.name == "clock_jump" }
            }
            let asked = fleet.inferences
            try await eventually(within: .seconds(20), "it goes on with new chunks") { fleet.inferences > asked + 2 }
            cell.agent.terminate()
            try await eventually(within: .seconds(20), "the agent ends") { cell.agent.exitCode != nil }
            #expect(cell.agent.exitCode == 0, "\(cell.agent.lastLines())")
            let summary = try #require(try cell.summary())
            #expect((summary.worstStep ?? 1) < 0.031, "3 rad/s at most: \(summary.worstStep ?? 1) rad in a tick")
            #expect(summary.problems == [])
        }
        _ = master
    }

    /// One camera sends `sensor_msgs/CompressedImage`: the policy sees its colours, `check` and recordings know it.
    @Test(.timeLimit(.minutes(3)))
    func aCompressedCameraIsACameraLikeAnyOther() async throws {
        let directory = try TemporaryDirectory()
        let port = try FreePorts.take(1)[0]
        let master = try start("master", ["master", "\(port)"], port, directory)
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let tape = directory.url.appending(path: "tape")
            let cell = try await startCell(
                "NEW",
                port,
                gateway,
                directory,
                isCompressed: true,
                ["--record", tape.path]
            )
            try await eventually(within: .seconds(60), "the policy is asked: \(cell.agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 2
            }
            let check = try ChildProcess(
                "check",
                executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
                arguments: [
                    "check", "--robot", "r1", "--profile", directory.url.appending(path: "profile.json").path,
                    "--ros-master", "http://127.0.0.1:\(port)", "--seconds", "1",
                    "--gateway", "127.0.0.1:\(gateway)",
                ],
                folder: directory.url
            )
            try await eventually(within: .seconds(40), "the check ends") { check.exitCode != nil }
            let text = try check.standardOutput()
            #expect(check.exitCode == ProcessExit.unavailable.rawValue, "\(text)")
            #expect(text.contains("16x12 rgb8; jpeg compressed bgr8"), "\(text)")
            #expect(text.contains("8f7a12909da2c9d3332d540a0977563f"), "\(text)")
            #expect(text.contains("serves    groot-mini (scripted): fits"), "\(text)")
            // The agent drives already, and that is all that prevents another start.
            let problems = text.split(separator: "What prevents a start:").last?.split(separator: "\n") ?? []
            #expect(!problems.isEmpty && problems.allSatisfy { $0.contains("/groot_agent_r1 publishes it") }, "\(text)")
            cell.agent.terminate()
            try await eventually(within: .seconds(20), "the agent ends") { cell.agent.exitCode != nil }

            let request = try #require(fleet.requests.last)
            let chest = try #require(request.images.first { $0.key.hasSuffix("cam_chest") })
            let pixel = Array(chest.data.prefix(3)).map(Int.init)
            #expect(zip(pixel, [200, 40, 20]).allSatisfy { abs($0 - $1) < 6 }, "\(pixel)")

            let files = try FileManager.default.contentsOfDirectory(atPath: tape.path)
            let profile = try ProfileCatalog.load(directory.url.appending(path: "profile.json").path)
            let recording = try RecordedRobot(
                file: tape.appending(path: try #require(files.first)),
                profile: profile
            )
            let pictures = recording.inputs.count { input in
                if case .image(let picture, let key) = input.input, key.hasSuffix("cam_chest"), case .jpeg = picture {
                    true
                } else {
                    false
                }
            }
            #expect(pictures > 5)
        }
        _ = master
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
        _ directory: TemporaryDirectory,
        isCompressed: Bool = false,
        _ more: [String] = []
    ) async throws -> Cell {
        let robot = try start(
            "robot",
            ["robot", generation] + (isCompressed ? ["compressed"] : []),
            master,
            directory
        )
        try await eventually(within: .seconds(30), "the robot is there: \(robot.lastLines())") {
            try robot.standardOutput().contains("summary")
        }
        // The holds of the real profile are longer than a test wants to wait.
        var profile = try ProfileCatalog.load("5_wheel")
        profile.limits.linkHoldMs = 1500
        profile.limits.holdMs = 1500
        if isCompressed {
            profile.cameras = Array(profile.cameras.prefix(2))
            profile.cameras[1].topic += "/compressed"
            profile.cameras[1].isCompressed = true
        }
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
            ] + more,
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
