import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Testing

@testable import RobotAgent

/// The robot does not take its arms back when it is asked: the exit code says so, and the guard goes on until it does.
@Suite(.serialized)
struct HandBackSerialTests {
    private struct Line: Decodable {
        var event: String
        var name: String?
        var commands: Int
    }

    /// Debian's rosmaster, a robot in rospy and the built agent.
    private final class Scene {
        let directory: TemporaryDirectory
        let port: Int
        private(set) var master: ChildProcess
        private(set) var robot: ChildProcess
        var hang: URL { directory.url.appending(path: "hang") }

        init() async throws {
            directory = try TemporaryDirectory()
            port = try FreePorts.take(1)[0]
            master = try Self.python("master", ["master", "\(port)"], port, directory)
            robot = try Self.python("robot", [], port, directory, Self.robot(directory))
            try await robotSpeaks()
        }

        func killMaster() {
            master.kill()
            robot.kill()
        }

        /// A new master knows nobody, and rospy does not register again: the robot starts anew as well.
        func restart() async throws {
            master = try Self.python("master2", ["master", "\(port)"], port, directory)
            robot = try Self.python("robot2", [], port, directory, Self.robot(directory))
            try await robotSpeaks()
        }

        func agent(_ gateway: Int) throws -> ChildProcess {
            try ChildProcess(
                "agent",
                executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
                arguments: [
                    "--robot", "r1", "--profile", "5_wheel", "--gateway", "127.0.0.1:\(gateway)",
                    "--ros-master", "http://127.0.0.1:\(port)", "--episode-timeout", "100s",
                    "--state-dir", directory.url.appending(path: "state").path,
                ],
                folder: directory.url
            )
        }

        /// Names of the events other than summaries, in order.
        func events() throws -> [String] {
            try lines().filter { $0.event != "summary" }.map { "\($0.event) \($0.name ?? "")" }
        }

        func commands() throws -> Int { try lines().last?.commands ?? 0 }

        private func lines() throws -> [Line] {
            try robot.outputLines().map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
        }

        private func robotSpeaks() async throws {
            try await eventually(within: .seconds(40), "the robot is there: \(robot.lastLines())") {
                try robot.standardOutput().contains("summary")
            }
        }

        private static func robot(_ directory: TemporaryDirectory) -> [String] {
            ["robot", "NEW", "hang=\(directory.url.appending(path: "hang").path)"]
        }

        private static func python(
            _ name: String,
            _ arguments: [String],
            _ port: Int,
            _ directory: TemporaryDirectory,
            _ more: [String] = []
        ) throws -> ChildProcess {
            try ChildProcess(
                name,
                executable: URL(filePath: "/usr/bin/python3"),
                arguments: [AllocationSerialTests.peers.appending(path: "fake_robot.py").path] + arguments + more,
                environment: ["ROS_MASTER_URI": "http://127.0.0.1:\(port)", "ROS_HOSTNAME": "127.0.0.1"],
                folder: directory.url
            )
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func hangingModeServicesEndWith70AndTheGuardGoesOn() async throws {
        let scene = try await Scene()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let agent = try scene.agent(gateway)
            try await eventually(within: .seconds(60), "the robot moves: \(agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 1
            }
            try Data().write(to: scene.hang)
            agent.terminate()
            try await eventually(within: .seconds(28), "the agent ends: \(agent.lastLines(5))") {
                agent.exitCode != nil
            }
            #expect(agent.exitCode == ProcessExit.safety.rawValue, "\(agent.lastLines())")
            #expect(try agent.logText().contains("the guard goes on trying"), "\(agent.lastLines())")
            #expect(fleet.finished.count == 1, "the episode is recorded nevertheless")
            let events = try scene.events()
            #expect(events.prefix(2) == ["service arm_mode", "service quick_mode"], "\(events)")
            #expect(events.dropFirst(2).allSatisfy { $0.hasPrefix("hangs") } && events.count >= 4, "\(events)")
            let standing = try scene.commands()

            // The robot's services come back to life.
            try FileManager.default.removeItem(at: scene.hang)
            try await eventually(within: .seconds(40), "the guard hands back: \(agent.lastLines(5))") {
                let services = try scene.events().filter { $0.hasPrefix("service") }
                return services.count >= 4
            }
            try await eventually(within: .seconds(10), "the guard says so: \(agent.lastLines(5))") {
                try agent.logText().contains("the robot confirmed")
            }
            #expect(try scene.events().suffix(2).allSatisfy { $0.hasPrefix("service") })
            #expect(try scene.commands() == standing, "nothing is published meanwhile")
        }
    }

    /// The agent ends while the master is down, killed or asked to: the guard waits for the master.
    @Test(.timeLimit(.minutes(2)), arguments: [SIGKILL, SIGTERM])
    func theGuardWaitsForTheMaster(signal: Int32) async throws {
        let scene = try await Scene()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            let agent = try scene.agent(gateway)
            try await eventually(within: .seconds(60), "the robot moves: \(agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 1
            }
            scene.killMaster()
            kill(agent.processIdentifier, signal)
            try await eventually(within: .seconds(40), "the guard waits: \(agent.lastLines(5))") {
                try agent.logText().contains("waiting for the ROS master")
            }
            #expect(signal == SIGKILL || agent.exitCode == ProcessExit.safety.rawValue, "\(agent.lastLines())")
            try await scene.restart()
            try await eventually(within: .seconds(40), "the arms are handed back: \(agent.lastLines(5))") {
                try scene.events() == ["service quick_mode", "service arm_mode"]
            }
            try await eventually(within: .seconds(10), "the guard says so: \(agent.lastLines(5))") {
                try agent.logText().contains("the robot confirmed")
            }
        }
    }
}
