import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import ROS1
import Testing

@testable import RobotAgent

/// The built agent, real rosmaster, a robot in rospy: whoever orders the arms to stand, they stand within `stop_ms`, while homing
/// as well as in an episode, and nothing moves them again by itself.
@Suite(.serialized)
struct StopSerialTests {
    enum Way: String, CaseIterable, Sendable {
        case interrupt
        case terminate
        case stop
        case pause
        case quit
        /// x and Enter at a terminal.
        case key
        /// Ctrl+C at a terminal.
        case controlC
        /// The terminal hangs up.
        case hangUp

        var isTyped: Bool { [.key, .controlC, .hangUp].contains(self) }
        /// Nobody goes on after it: the arms are handed back.
        var endsRun: Bool { [.interrupt, .terminate, .quit, .hangUp].contains(self) }
    }

    /// One agent at one robot.
    private struct Cell {
        var directory: TemporaryDirectory
        var robot: ChildProcess
        var agent: ChildProcess
        var node: ROSNode
        var agentNumber: Int32

        /// Every pose that was commanded so far.
        func poses() throws -> [[Double]] {
            // Nothing was commanded yet, or a line is half written.
            let text = (try? String(contentsOf: directory.url.appending(path: "trace"), encoding: .utf8)) ?? ""
            return text.split(separator: "\n").map { $0.split(separator: " ").compactMap { Double($0) } }
                .filter { $0.count == 14 }
        }

        func type(_ line: String) throws {
            let file = try FileHandle(forWritingTo: directory.url.appending(path: "keys"))
            try file.seekToEnd()
            try file.write(contentsOf: Data((line + "\n").utf8))
            try file.close()
        }

        func wish(_ name: String) async throws {
            let answer = try await node.callService(
                "/groot_agent_r1/\(name)",
                as: Trigger.self,
                request: TriggerRequest(),
                timeout: .seconds(5)
            )
            #expect(answer.success)
        }

        func give(_ way: Way) async throws {
            switch way {
            case .interrupt: Foundation.kill(agentNumber, SIGINT)
            case .terminate: Foundation.kill(agentNumber, SIGTERM)
            case .stop, .pause, .quit: try await wish(way.rawValue)
            case .key: try type("x")
            case .controlC: try type("INTERRUPT")
            case .hangUp: try type("HANGUP")
            }
        }

        func services() throws -> Int {
            try robot.standardOutput().split(separator: "\n").count { $0.contains(#""event": "service""#) }
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: Way.allCases)
    func theArmsStandWhileHoming(way: Way) async throws {
        try await withCell(way, away: 0.7) { cell, _ in
            try await moving(cell)
            // 0.4 rad/s for 0.3 s, and what was on its way meanwhile.
            try await standsAfter(way, cell, furtherThan: 0.4 * 0.3 + 0.4 * 0.06)
            if way.endsRun { return }
            // And goes on when a person says so: home, in the case of a stop without the run going on.
            if way == .pause { try await cell.wish("pause") } else { try await cell.wish("home") }
            try await eventually(within: .seconds(20), "the arms are home") {
                let last = try cell.poses().last ?? []
                let home = try ProfileCatalog.load("5_wheel").arm.homeRad
                return last.count == home.count && zip(last, home).allSatisfy { abs($0 - Double($1)) < 0.01 }
            }
            cell.agent.terminate()
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: [Way.terminate, .stop, .pause, .key, .controlC])
    func theArmsStandInAnEpisode(way: Way) async throws {
        try await withCell(way, away: 0) { cell, fleet in
            try await eventually(within: .seconds(30), "the policy moves: \(cell.agent.lastLines(5))") {
                fleet.records.count { $0.status == "OK" } >= 2
            }
            // The scripted policy swings by 0.03 rad.
            try await standsAfter(way, cell, furtherThan: 0.06)
            #expect(fleet.started.count == 1, "no episode begins by itself")
            if way.endsRun { return }
            if way == .pause {
                let asked = fleet.inferences
                try await cell.wish("resume")
                try await eventually(within: .seconds(10), "the episode goes on") { fleet.inferences > asked + 1 }
            } else {
                try await eventually("the episode is over") { fleet.finished.map(\.outcome) == [.aborted] }
                try await cell.wish("resume")
                try await eventually(within: .seconds(20), "the next episode") { fleet.started.count == 2 }
            }
            cell.agent.terminate()
        }
    }

    enum Place: String, CaseIterable, Sendable {
        case homing, episode, stopped
        /// The episode is over, and its judge thinks for a minute.
        case judging
    }

    /// SIGTERM and a first SIGINT decelerate (here within 1.5 s, so that it shows); a second SIGINT hands back at once, and
    /// changes nothing once the arms stand.
    @Test(.timeLimit(.minutes(2)), arguments: Place.allCases, [[SIGTERM], [SIGINT, SIGINT]])
    func signalsHandBack(place: Place, signals: [Int32]) async throws {
        let isHome = place == .episode || place == .judging
        let judge = place == .judging ? "touch asked; sleep 60" : nil
        try await withCell(.interrupt, away: isHome ? 0 : 0.7, stop: 1500, judge: judge) { cell, fleet in
            if isHome {
                try await eventually(within: .seconds(30), "the policy moves: \(cell.agent.lastLines(5))") {
                    fleet.records.count { $0.status == "OK" } >= 2
                }
            } else {
                try await moving(cell)
            }
            if place == .stopped {
                try await cell.wish("stop")
                try await eventually(within: .seconds(10), "they stand") {
                    let rest = try cell.poses().suffix(50)
                    return rest.count == 50 && rest.allSatisfy { $0 == rest.first }
                }
            }
            if place == .judging {
                try await eventually(within: .seconds(20), "the judge is asked: \(cell.agent.lastLines(5))") {
                    FileManager.default.fileExists(atPath: cell.directory.url.appending(path: "asked").path)
                }
            }
            var commands = try cell.poses().count
            for (index, signal) in signals.enumerated() {
                if index > 0 {
                    // The first one is being obeyed.
                    let first = commands
                    try await eventually("it decelerates") {
                        try cell.poses().count > first + 20 || cell.services() > 2 || cell.agent.exitCode != nil
                    }
                }
                commands = try cell.poses().count
                Foundation.kill(cell.agentNumber, signal)
            }
            try await eventually(within: .seconds(20), "the agent ends: \(cell.agent.lastLines(5))") {
                cell.agent.exitCode != nil
            }
            #expect(cell.agent.exitCode == 0, "\(cell.agent.lastLines())")
            #expect(try cell.services() == 4, "the arms are handed back")
            let more = try cell.poses().count - commands
            switch (place, signals.count) {
            case (.stopped, _), (.judging, _): #expect(more < 60, "they stand already: \(more) more commands")
            case (_, 2): #expect(more < 60, "at once: \(more) more commands")
            default: #expect(more > 130, "1.5 s of deceleration: \(more) more commands")
            }
            if isHome { #expect(fleet.finished.map(\.outcome) == [place == .episode ? .aborted : .timeout]) }
            let log = try cell.agent.logText()
            #expect(!log.contains(#""level":"error""#), "a clean exit logs no error: \(log.suffix(800))")
        }
    }

    /// An encoder in degrees, or one that is far outside of what the arm can do: nothing is published.
    @Test(.timeLimit(.minutes(1)))
    func noMotionStartsFromAnImpossiblePose() async throws {
        try await withCell(.terminate, away: -40) { cell, _ in
            try await eventually(within: .seconds(30), "the agent ends") { cell.agent.exitCode != nil }
            #expect(cell.agent.exitCode != 0)
            #expect(try cell.poses().isEmpty, "nothing was commanded")
            let log = try cell.agent.logText()
            #expect(log.contains("zarm_l1_joint"), "\(log.suffix(600))")
        }
    }

    private func moving(_ cell: Cell) async throws {
        try await eventually(within: .seconds(40), "the arms drive home: \(cell.agent.lastLines(5))") {
            let poses = try cell.poses()
            return poses.count > 60 && abs(poses[poses.count - 1][0] - poses[0][0]) > 0.05
        }
    }

    private func standsAfter(_ way: Way, _ cell: Cell, furtherThan limit: Double) async throws {
        let ordered = try #require(try cell.poses().last)
        let count = try cell.poses().count
        try await cell.give(way)
        if way.endsRun {
            try await eventually(within: .seconds(20), "the agent ends: \(cell.agent.lastLines(5))") {
                cell.agent.exitCode != nil
            }
            try await eventually("the arms are handed back") { try cell.services() >= 4 }
            if !way.isTyped { #expect(cell.agent.exitCode == 0) }
        } else {
            // Two seconds of the standing pose.
            try await eventually(within: .seconds(20), "the pose is streamed") { try cell.poses().count > count + 250 }
        }
        let poses = try cell.poses().dropFirst(count)
        for pose in poses {
            for joint in 0..<14 { #expect(abs(pose[joint] - ordered[joint]) < limit, "\(way), joint \(joint)") }
        }
        if !way.endsRun {
            let rest = poses.suffix(100)
            #expect(rest.allSatisfy { $0 == rest.first }, "\(way): they stand")
            #expect(cell.agent.exitCode == nil)
        }
    }

    private func withCell(
        _ way: Way,
        away: Double,
        stop: Double? = nil,
        judge: String? = nil,
        _ body: (Cell, ScriptedFleet) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let port = try FreePorts.take(1)[0]
        let master = try peer("master", ["master", "\(port)"], port, directory)
        let robot = try peer("robot", ["robot", "NEW"], port, directory, away: away)
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            try await eventually(within: .seconds(30), "the robot is there: \(robot.lastLines())") {
                try robot.standardOutput().contains("summary")
            }
            let profile = directory.url.appending(path: "profile.json")
            try writeProfile(to: profile, stop: stop)
            let command = [
                AllocationSerialTests.binaries.appending(path: "groot-agent").path,
                "--robot", "r1", "--profile", profile.path, "--gateway", "127.0.0.1:\(gateway)", "--ros-master",
                "http://127.0.0.1:\(port)", "--episode-timeout", judge == nil ? "100s" : "1s", "--episodes", "3",
                "--unattended", "--judge", judge.map { "cd \(directory.url.path); \($0)" } ?? "/bin/true",
                "--state-dir", directory.url.appending(path: "state").path,
            ]
            let agent: ChildProcess
            if way.isTyped {
                let keys = directory.url.appending(path: "keys").path
                let terminal = AllocationSerialTests.peers.appending(path: "terminal.py").path
                agent = try ChildProcess(
                    "agent",
                    executable: URL(filePath: "/usr/bin/python3"),
                    arguments: [terminal, keys] + command,
                    folder: directory.url
                )
            } else {
                agent = try ChildProcess(
                    "agent",
                    executable: URL(filePath: command[0]),
                    arguments: Array(command.dropFirst()),
                    folder: directory.url
                )
            }
            var logger = Logger(label: "test")
            logger.logLevel = .error
            let node = ROSNode(name: "/operator", masterURI: "http://127.0.0.1:\(port)", logger: logger)
            try await node.start()
            let cell = Cell(
                directory: directory,
                robot: robot,
                agent: agent,
                node: node,
                agentNumber: agent.processIdentifier
            )
            try await body(cell, fleet)
            await node.shutdown()
        }
        _ = master
    }

    /// - Parameter stop: milliseconds; nil: as it ships.
    private func writeProfile(to file: URL, stop: Double?) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        var profile = try ProfileCatalog.load("5_wheel")
        profile.limits.stopMs = stop ?? profile.limits.stopMs
        try encoder.encode(profile).write(to: file)
    }

    private func peer(
        _ name: String,
        _ arguments: [String],
        _ master: Int,
        _ directory: TemporaryDirectory,
        away: Double = 0
    ) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: URL(filePath: "/usr/bin/python3"),
            arguments: [AllocationSerialTests.peers.appending(path: "fake_robot.py").path] + arguments,
            environment: [
                "ROS_MASTER_URI": "http://127.0.0.1:\(master)", "ROS_HOSTNAME": "127.0.0.1",
                "FAKE_ROBOT_AWAY": "\(away)", "FAKE_ROBOT_TRACE": directory.url.appending(path: "trace").path,
            ],
            folder: directory.url
        )
    }
}
