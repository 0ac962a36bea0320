import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import ROS1
import Testing

@testable import RobotAgent

/// Run configurations, gateways, operators, recordings and outages, with the agent as a whole.
@Suite(.serialized)
struct RunIntegrationSerialTests {
    @Test(.timeLimit(.minutes(2)))
    func anAssignedConfigDecidesTheEpisodeUnderTheFlags() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.assignment.name = "smooth"
        fleet.assignment.version = 4
        fleet.assignment.configJson = #"{"mode": "rtc", "chunk_size_threshold": "auto", "blend_ms": 70}"#
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                robot.successAfterCommands = 250
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.explicitFlags = ["blend_ms"]
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                let started = try #require(fleet.started.first)
                #expect(started.runConfigName == "smooth" && started.runConfigVersion == 4)
                #expect(started.mode == "rtc")
                #expect(started.runConfigJson.contains(#""chunk_size_threshold":"auto""#))
                #expect(started.runConfigJson.contains(#""blend_ms":300"#), "a flag given by hand wins")
                #expect(fleet.records.contains { $0.prefixRows > 0 })
                // A change reaches the agent with its next episode.
                fleet.assignment.version = 5
                fleet.assignment.configJson = "{}"
                robot.successAfterCommands = 250
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                #expect(fleet.started.last?.runConfigVersion == 5 && fleet.started.last?.mode == "async")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func rtcWithoutSupportRunsAsyncAndSaysSo() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.supportsPrefix = false
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                robot.successAfterCommands = 250
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.mode = .rtc
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                #expect(fleet.started.first?.mode == "async")
                #expect(fleet.started.first?.runConfigJson.contains("weighted_average") == true)
                #expect(fleet.records.allSatisfy { $0.prefixRows == 0 })
                let said = fleet.events.filter { $0.name == "rtc_unsupported" }
                #expect(said.map(\.episodeID) == fleet.started.map(\.episodeID))
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func theSecondGatewayTakesOver() async throws {
        let directory = try TemporaryDirectory()
        let first = ScriptedFleet()
        let second = ScriptedFleet()
        try await withRobot { robot, master in
            robot.successAfterCommands = 600
            try await withGateway(second) { secondPort in
                var run: Task<ProcessExit, Never>?
                try await withGateway(first) { firstPort in
                    var settings = configuration(master: master, gateway: firstPort, state: directory.url)
                    settings.gateways.append(.tcp(host: "127.0.0.1", port: secondPort))
                    let agent = AgentRun(configuration: settings)
                    run = Task { await agent.execute() }
                    try await eventually(within: .seconds(30), "the first serves") { first.inferences >= 2 }
                }
                // The first is gone in the middle of the episode.
                #expect(await run?.value == .ok)
                #expect(second.inferences >= 2)
                let finished = try #require(second.finished.first)
                #expect(finished.outcome == .success)
                #expect(finished.starvedTicks == 0, "half a chunk is enough to change gateways")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func anOperatorDecidesOverROS() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                let settings = configuration(master: master, gateway: gateway, state: directory.url)
                let agent = AgentRun(configuration: settings)
                let run = Task { await agent.execute() }
                try await eventually(within: .seconds(30), "the robot moves") { fleet.inferences >= 2 }
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
                try await wish("pause")
                try await Task.sleep(for: .milliseconds(300))
                let asked = fleet.inferences
                try await Task.sleep(for: .milliseconds(1500))
                #expect(fleet.inferences == asked, "a paused robot asks for nothing")
                try await wish("pause")
                try await eventually("it goes on") { fleet.inferences > asked }
                try await wish("retry")
                try await eventually(within: .seconds(20), "a second episode") { fleet.started.count == 2 }
                try await eventually(within: .seconds(20), "it moves again") { fleet.inferences > asked + 3 }
                try await wish("failure")
                #expect(await run.value == .ok)
                #expect(fleet.finished.map(\.outcome) == [.aborted, .failure])
                #expect(fleet.finished.allSatisfy { $0.decidedBy == "operator" })
                #expect(fleet.finished.last?.reason == "operator's service")
                #expect(fleet.events.map(\.name) == ["pause", "pause", "retry", "failure"])
                await node.shutdown()
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func aRecordingReplaysAgainstTheGateway() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                robot.successAfterCommands = 300
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.recording = directory.url.appending(path: "tape")
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                let id = try #require(fleet.started.first?.episodeID)
                let file = directory.url.appending(path: "tape/r1-\(id).mcap")
                let tape = try RecordedRobot(file: file, profile: try ProfileCatalog.load("simulator"))
                #expect(tape.commands.count >= 290)
                #expect(tape.commands.allSatisfy { $0.values.count == 16 && abs($0.values[3]) > 2 }, "rad")
                let asked = fleet.inferences
                let replay = try ChildProcess(
                    "replay",
                    executable: AllocationSerialTests.binaries.appending(path: "groot-agent"),
                    arguments: [
                        "replay", file.path, "--robot", "r1", "--gateway", "127.0.0.1:\(gateway)",
                        "--profile", "simulator", "--every", "0.5",
                    ],
                    folder: directory.url
                )
                try await eventually(within: .seconds(30), "the replay ends") { replay.exitCode != nil }
                let text = try replay.standardOutput()
                #expect(replay.exitCode == 0, "\(replay.lastLines())")
                #expect(fleet.inferences > asked + 3)
                #expect(text.contains("| 15 | 0.") && text.contains("zarm_r7_joint"), "\(text)")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func aDryRunTouchesNothing() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gateway in
            try await withRobot { robot, master in
                var settings = configuration(master: master, gateway: gateway, state: directory.url)
                settings.isDryRun = true
                settings.episodeTimeout = .seconds(3)
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                #expect(robot.calls.isEmpty)
                #expect(robot.worstStep == 0, "no command was published")
                #expect(fleet.records.count { $0.status == "OK" } >= 2)
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func anEpisodeSurvivesTheMastersRestart() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let port = try FreePorts.take(1)[0]
        var master = ROSMaster(port: port, logger: logger)
        _ = try await master.start()
        let robot = try await ScriptedRobot(masterURI: "http://127.0.0.1:\(port)", logger: logger)
        let pump = Task { await robot.pump() }
        try await withGateway(fleet) { gateway in
            robot.successAfterCommands = 700
            let settings = configuration(master: port, gateway: gateway, state: directory.url)
            let agent = AgentRun(configuration: settings)
            let run = Task { await agent.execute() }
            try await eventually(within: .seconds(30), "the robot moves") { fleet.inferences >= 2 }
            await master.stop()
            master = ROSMaster(port: port, logger: logger)
            _ = try await master.start()
            #expect(await run.value == .ok)
            #expect(fleet.finished.first?.outcome == .success)
            #expect(fleet.finished.first?.starvedTicks == 0, "topics flow without a master")
            #expect(robot.calls.suffix(2) == ["quick_mode false", "arm_mode 0"], "both found the new master")
        }
        pump.cancel()
        await pump.value
        await robot.shutdown()
        await master.stop()
    }
}
