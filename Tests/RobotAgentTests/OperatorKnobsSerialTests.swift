import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import ROS1
import Testing

@testable import RobotAgent

/// What an operator can ask for on a careful first run, with the agent as a whole.
@Suite(.serialized)
struct OperatorKnobsSerialTests {
    private func home() throws -> [Double] { try ProfileCatalog.load("simulator").arm.homeRad.map(Double.init) }

    /// `--mode sync --chunk-start 1 --chunk-end 7 --action-stride 2 --freeze-arm left --claw-latch`.
    @Test(.timeLimit(.minutes(2)))
    func theSyncScriptsKnobsReachTheRobot() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.home = try ProfileCatalog.load("simulator").arm.homeRad
        // Closes, then wavers: a latched claw stays closed.
        fleet.claw = { $0 <= 2 ? 80 : 0 }
        let home = try home()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                robot.successAfterCommands = 250
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.mode = .sync
                settings.shape.start = 1
                settings.shape.end = 7
                settings.shape.stride = 2
                settings.frozenArm = .left
                settings.clawLatch = ClawLatch.Configuration()
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                let history = robot.history
                #expect(fleet.requests.allSatisfy { $0.maxRows == 8 }, "no row behind --chunk-end is asked for")
                #expect(fleet.inferences >= 4)
                #expect(history.allSatisfy { row in (0..<7).allSatisfy { abs(row[$0] - home[$0]) < 1e-5 } })
                // Seven rows of 5 ticks, twice as fast as trained, the last 5 ticks in 10, to end at rest; the blend damps the
                // peak of the third row, so the last one is the first to reach its 0.03.
                let first = try #require(history.firstIndex { $0[7] > home[7] + 1e-4 })
                let peak = try #require(history.firstIndex { $0[7] > home[7] + 0.0299 })
                #expect((34...41).contains(peak - first + 1), "\(peak - first + 1) ticks")
                #expect(history.allSatisfy { $0[7] < home[7] + 0.0301 })
                let closed = try #require(history.firstIndex { $0[15] >= 90 }, "the claw latches")
                let latched = history[closed...].prefix { $0[15] == 90 }
                #expect(latched.count > 100, "it stays closed though the policy opens it")
                #expect(history.allSatisfy { $0[14] == 0 }, "the frozen arm's claw stays, too")

                // The next episode begins at home with open claws: the latch is reset.
                fleet.claw = { _ in 20 }
                robot.successAfterCommands = 250
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                #expect(robot.history.contains { $0[15] == 0 })
                #expect(robot.history.last?[15] == 20 || robot.history.last?[15] == 0)
                #expect(robot.history.allSatisfy { $0[15] < 50 })
            }
        }
    }

    /// `--pause-before-chunk`: nothing moves before the operator says so, however long that takes.
    @Test(.timeLimit(.minutes(2)))
    func eachChunkWaitsForTheOperator() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        let home = try home()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.mode = .sync
                settings.pausesBeforeChunk = true
                // Shorter than what the operator takes: waiting for the operator is not the robot's time.
                settings.episodeTimeout = .seconds(4)
                let agent = AgentRun(configuration: settings)
                let run = Task { await agent.execute() }
                let node = ROSNode(name: "/operator", masterURI: settings.rosMaster, logger: Logger(label: "test"))
                try await node.start()
                func wish(_ name: String) async throws {
                    let answer = try await node.callService(
                        "/groot_agent_r1/\(name)",
                        as: Trigger.self,
                        request: TriggerRequest(),
                        timeout: .seconds(5)
                    )
                    #expect(answer.success)
                }
                for chunk in 1...3 {
                    try await eventually(within: .seconds(20), "chunk \(chunk) is asked for") {
                        fleet.inferences == chunk
                    }
                    // Three seconds of commands, longer than `hold_ms`, without a movement.
                    let waited = robot.history.count
                    let pose = try #require(robot.history.last)
                    try await eventually(within: .seconds(20), "the pose is streamed") {
                        robot.history.count > waited + 300
                    }
                    for row in robot.history.dropFirst(waited) {
                        for joint in 0..<14 { #expect(abs(row[joint] - pose[joint]) < 1e-3) }
                    }
                    #expect(fleet.inferences == chunk, "one chunk at a time")
                    let moves = robot.history.count
                    try await wish("proceed")
                    try await eventually(within: .seconds(5), "chunk \(chunk) is executed") {
                        robot.history.dropFirst(moves).contains { abs($0[0] - pose[0]) > 0.02 }
                    }
                }
                try await wish("success")
                #expect(await run.value == .ok)
                #expect(fleet.finished.map(\.outcome) == [.success])
                #expect(fleet.events.allSatisfy { $0.name != "stopped" })
                #expect(abs((robot.history.last?[0] ?? 0) - home[0]) < 0.1)
                await node.shutdown()
            }
        }
    }

    /// `--state-zero`, `--image-zero cam_head`, `--dry-run`: what the policy is shown, while nothing moves.
    @Test(.timeLimit(.minutes(2)))
    func diagnosisBlanksWhatThePolicySees() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.home = try ProfileCatalog.load("simulator").arm.homeRad
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.isDryRun = true
                settings.zeroesState = true
                settings.zeroedCameras = ["cam_head"]
                settings.episodeTimeout = .seconds(2)
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                #expect(robot.history.isEmpty && robot.calls.isEmpty)
                let requests = fleet.requests
                #expect(requests.count >= 2)
                for request in requests {
                    #expect(request.stateValues == Array(repeating: 0, count: 16))
                    for image in request.images {
                        #expect(image.data.allSatisfy { $0 == 0 } == image.key.hasSuffix("cam_head"), "\(image.key)")
                    }
                }
            }
        }
    }

    enum Silence: CaseIterable, Sendable {
        case joints
        case camera
    }

    /// A topic dies in the middle of an episode: hold, stop, hand the arms back, say which.
    @Test(.timeLimit(.minutes(2)), arguments: Silence.allCases)
    func aSensorThatDiesStopsTheRobot(silence: Silence) async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                let settings = configuration(master: master, gateway: gateway, state: directory.url)
                let agent = AgentRun(configuration: settings)
                let run = Task { await agent.execute() }
                try await eventually(within: .seconds(30), "the robot moves") { fleet.inferences >= 2 }
                switch silence {
                case .joints: robot.areJointsDead = true
                case .camera: robot.isHeadCameraDead = true
                }
                #expect(await run.value == .safety)
                #expect(robot.calls.suffix(2) == ["quick_mode false", "arm_mode 0"])
                #expect(robot.worstStep < 0.13)
                #expect(fleet.finished.map(\.outcome) == [.aborted])
                let said = fleet.events.filter { $0.name == "stopped" }.map(\.message)
                #expect(said.contains { $0.contains(silence == .joints ? "blind" : "starved") }, "\(said)")
            }
        }
    }

    /// The operator's stop ends the episode, and nothing moves until a person says how to go on; quit ends the run.
    @Test(.timeLimit(.minutes(2)))
    func stopAndQuit() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.episodes = 5
                let agent = AgentRun(configuration: settings)
                let run = Task { await agent.execute() }
                let node = ROSNode(name: "/operator", masterURI: settings.rosMaster, logger: Logger(label: "test"))
                try await node.start()
                func wish(_ name: String) async throws {
                    let answer = try await node.callService(
                        "/groot_agent_r1/\(name)",
                        as: Trigger.self,
                        request: TriggerRequest(),
                        timeout: .seconds(5)
                    )
                    #expect(answer.success)
                }
                func moves(_ episode: Int) async throws {
                    let asked = fleet.inferences
                    try await eventually(within: .seconds(30), "episode \(episode) moves") {
                        fleet.started.count == episode && fleet.inferences >= asked + 2
                    }
                }
                try await moves(1)
                try await wish("stop")
                try await eventually("the episode is over") { fleet.finished.count == 1 }
                let count = robot.history.count
                try await eventually(within: .seconds(20), "the pose is streamed") {
                    robot.history.count > count + 400
                }
                let pose = try #require(robot.history.last)
                let later = robot.history.dropFirst(count + 50)
                #expect(later.allSatisfy { $0 == pose }, "the arms stand for four seconds")
                #expect(fleet.started.count == 1, "no episode begins by itself")
                try await wish("resume")
                try await moves(2)
                try await wish("quit")
                #expect(await run.value == .ok)
                #expect(fleet.finished.map(\.outcome) == [.aborted, .aborted])
                #expect(fleet.finished.allSatisfy { $0.decidedBy == "operator" })
                #expect(robot.calls.suffix(2) == ["quick_mode false", "arm_mode 0"])
                #expect(robot.worstStep < 0.13)
                await node.shutdown()
            }
        }
    }
}
