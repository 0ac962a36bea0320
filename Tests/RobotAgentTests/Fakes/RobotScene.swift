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
        var measured: [Double]?
    }

    let folder: TemporaryDirectory
    let masterPort: Int
    private let master: ChildProcess
    private(set) var robot: ChildProcess
    private let profile: URL
    private let later: URL

    /// - Parameters:
    ///   - away: rad between home and where the arms stand, every joint.
    ///   - isTriggered: later faults wait for `setFaults`.
    ///   - change: of the profile that agents are given.
    init(
        _ faults: [String] = [],
        generation: String = "NEW",
        away: Double = 0,
        isTriggered: Bool = false,
        change: (inout RobotProfile) -> Void = { _ in }
    ) async throws {
        folder = try TemporaryDirectory()
        masterPort = try FreePorts.take(1)[0]
        master = try Self.peer("master", ["master", "\(masterPort)"], masterPort, folder)
        let later = folder.url.appending(path: "later")
        let words = ["robot", generation] + (isTriggered ? ["later=\(later.path)"] : []) + faults
        self.later = later
        robot = try Self.peer("robot", words, masterPort, folder, away: away)
        var profile = try ProfileCatalog.load("5_wheel")
        profile.cameras = Array(profile.cameras.prefix(2))
        if faults.contains("png") { profile.cameras[0].isCompressed = true }
        change(&profile)
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        self.profile = folder.url.appending(path: "profile.json")
        try encoder.encode(profile).write(to: self.profile)
        try await eventually(within: .seconds(30), "the robot is there: \(robot.lastLines())") {
            try self.robot.standardOutput().contains("summary")
        }
    }

    /// Whether later faults are on.
    func setFaults(on isOn: Bool) throws {
        if isOn { try Data().write(to: later) } else { try FileManager.default.removeItem(at: later) }
    }

    /// Every arm pose that was commanded so far, rad.
    func poses() throws -> [[Double]] {
        // Nothing was commanded yet, or a line is half written.
        let text = (try? String(contentsOf: folder.url.appending(path: "trace"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map { $0.split(separator: " ").compactMap { Double($0) } }
            .filter { $0.count == 14 }
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
        _ folder: TemporaryDirectory,
        away: Double = 0
    ) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: URL(filePath: "/usr/bin/python3"),
            arguments: [AllocationSerialTests.peers.appending(path: "fake_robot.py").path] + arguments,
            environment: [
                "ROS_MASTER_URI": "http://127.0.0.1:\(master)", "ROS_HOSTNAME": "127.0.0.1",
                "FAKE_ROBOT_AWAY": "\(away)", "FAKE_ROBOT_TRACE": folder.url.appending(path: "trace").path,
            ],
            folder: folder.url
        )
    }
}
