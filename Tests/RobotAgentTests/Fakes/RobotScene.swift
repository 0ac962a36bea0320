import Foundation
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// A real rosmaster, a robot in rospy with its faults, and built agents, for one test.
final class RobotScene {
    struct Line: Decodable {
        var event: String
        var name: String?
        var commands: Int
        var silent: Double?
        var still: Double?
        var worstStep: Double?
        var intruded: Int?
        var problems: [String]?
    }

    let folder: TemporaryDirectory
    let masterPort: Int
    private let master: ChildProcess
    private(set) var robot: ChildProcess
    private let profile: URL

    init(_ faults: [String] = [], generation: String = "NEW") async throws {
        folder = try TemporaryDirectory()
        masterPort = try FreePorts.take(1)[0]
        master = try Self.peer("master", ["master", "\(masterPort)"], masterPort, folder)
        robot = try Self.peer("robot", ["robot", generation] + faults, masterPort, folder)
        var profile = try ProfileCatalog.load("5_wheel")
        profile.cameras = Array(profile.cameras.prefix(2))
        if faults.contains("png") { profile.cameras[0].isCompressed = true }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        self.profile = folder.url.appending(path: "profile.json")
        try encoder.encode(profile).write(to: self.profile)
        try await eventually(within: .seconds(30), "the robot is there: \(robot.lastLines())") {
            try self.robot.standardOutput().contains("summary")
        }
    }

    /// Another rospy node beside the robot.
    func node(_ kind: String) throws -> ChildProcess { try Self.peer(kind, [kind], masterPort, folder) }

    func agent(
        _ name: String = "agent",
        robot: String = "r1",
        gateway: Int,
        _ more: [String] = [],
        environment: [String: String] = [:]
    ) throws -> ChildProcess {
        try start(
            name,
            [
                "--robot", robot, "--profile", profile.path, "--gateway", "127.0.0.1:\(gateway)",
                "--ros-master", "http://127.0.0.1:\(masterPort)", "--episode-timeout", "100s", "--ready-timeout", "6s",
                "--state-dir", folder.url.appending(path: "state-\(name)").path,
            ] + more,
            environment
        )
    }

    func check(gateway: Int) throws -> ChildProcess {
        try start(
            "check",
            [
                "check", "--robot", "r1", "--profile", profile.path, "--gateway", "127.0.0.1:\(gateway)",
                "--ros-master", "http://127.0.0.1:\(masterPort)", "--seconds", "2",
            ]
        )
    }

    func lines() throws -> [Line] {
        try robot.outputLines().map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    }

    func summary() throws -> Line? { try lines().last { $0.event == "summary" } }
    func services() throws -> [String] { try lines().filter { $0.event == "service" }.compactMap(\.name) }

    private func start(
        _ name: String,
        _ arguments: [String],
        _ environment: [String: String] = [:]
    ) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
            arguments: arguments,
            environment: environment,
            folder: folder.url
        )
    }

    private static func peer(
        _ name: String,
        _ arguments: [String],
        _ master: Int,
        _ folder: TemporaryDirectory
    ) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: URL(filePath: "/usr/bin/python3"),
            arguments: [AllocationSerialTests.peers.appending(path: "fake_robot.py").path] + arguments,
            environment: ["ROS_MASTER_URI": "http://127.0.0.1:\(master)", "ROS_HOSTNAME": "127.0.0.1"],
            folder: folder.url
        )
    }
}
