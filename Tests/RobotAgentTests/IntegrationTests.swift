import Foundation
import GrootAPI
import GrootCore
import GrootTesting
import Logging
import ROS1
import Synchronization
import Testing

@testable import RobotAgent

/// The agent as a whole against a scripted robot (embedded ROS master) and a scripted gateway (gRPC in process).
@Suite(.serialized)
struct IntegrationSerialTests {
    @Test(.timeLimit(.minutes(2)), arguments: RequestPlanner.Mode.allCases)
    func oneEpisode(mode: RequestPlanner.Mode) async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gatewayPort in
            try await withRobot { robot, masterPort in
                // The scene counts as done after 3 s of motion.
                robot.successAfterCommands = 300
                var settings = configuration(master: masterPort, gateway: gatewayPort, state: directory.url)
                settings.mode = mode
                let exit = await AgentRun(configuration: settings).execute()
                #expect(exit == .ok)

                let services = robot.calls
                #expect(services.prefix(3) == ["arm_mode 2", "quick_mode true", "reset 7 Depalletize the green box"])
                #expect(services.suffix(2) == ["quick_mode false", "arm_mode 0"])
                #expect(robot.worstStep < 0.13, "no command jumps: \(robot.worstStep) rad")

                let finished = try #require(fleet.finished.first)
                #expect(fleet.finished.count == 1)
                #expect(finished.outcome == .success)
                #expect(finished.decidedBy == "simulator")
                let records = fleet.records
                #expect(finished.chunks == UInt64(records.count { $0.status == "OK" }))
                #expect(finished.failedInferences == UInt64(records.count { $0.status != "OK" }))
                #expect(finished.chunks >= 2)
                #expect(finished.ticks > 200)
                #expect(Set(records.map(\.sequence)).count == records.count)
                #expect(records.allSatisfy { $0.worker == "w-scripted" || $0.status != "OK" })
                let started = try #require(fleet.started.first)
                #expect(started.sceneSeed == 7)
                #expect(started.mode == mode.rawValue)
                #expect(finished.episodeID == started.episodeID)
                if mode == .sync { #expect(finished.starvedTicks > 0) } else { #expect(finished.starvedTicks == 0) }
                let samples = fleet.samples
                #expect(samples.count >= 2, "one control sample a second")
                #expect(samples.allSatisfy { $0.episodeID == started.episodeID && $0.jitterMaxNs >= $0.jitterP50Ns })
                #expect(samples.reduce(0) { $0 + $1.ticks } <= finished.ticks)
                let prefixed = records.filter { $0.prefixRows > 0 }
                #expect(prefixed.isEmpty == (mode != .rtc), "only real-time chunking sends a prefix")
                #expect(prefixed.allSatisfy { $0.frozenRows >= 1 && $0.frozenRows <= $0.prefixRows })
                let left = try FileManager.default.contentsOfDirectory(
                    atPath: directory.url.appending(path: "spool").path
                )
                #expect(left.isEmpty, "everything was acknowledged")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func failedInferencesAndAControlPlaneOutageDoNotEndTheEpisode() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.failEverySecondInference = true
        fleet.isControlPlaneDown = true
        try await withGateway(fleet) { gatewayPort in
            try await withRobot { robot, masterPort in
                robot.successAfterCommands = 300
                var settings = configuration(master: masterPort, gateway: gatewayPort, state: directory.url)
                settings.flushTimeout = .milliseconds(200)
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                #expect(fleet.finished.isEmpty)
                // The next start sends what the last one could not.
                fleet.isControlPlaneDown = false
                robot.successAfterCommands = 300
                #expect(await AgentRun(configuration: settings).execute() == .ok)
                try await eventually("both episodes are reported") { fleet.finished.count == 2 }
                let records = fleet.records
                #expect(Set(fleet.boots).count == 2)
                for finished in fleet.finished {
                    let own = records.filter { $0.episodeID == finished.episodeID }
                    #expect(finished.outcome == .success)
                    #expect(finished.failedInferences > 0)
                    #expect(finished.failedInferences == UInt64(own.count { $0.status == "RESOURCE_EXHAUSTED" }))
                    #expect(finished.chunks == UInt64(own.count { $0.status == "OK" }))
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func aSilentTopicIsNamed() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        try await withGateway(fleet) { gatewayPort in
            try await withRobot { robot, masterPort in
                robot.isChestCameraDead = true
                var settings = configuration(master: masterPort, gateway: gatewayPort, state: directory.url)
                settings.readyTimeout = .seconds(1)
                #expect(await AgentRun(configuration: settings).execute() == .unavailable)
                #expect(robot.calls.isEmpty, "nothing moved")
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func aFirstActionFarAwayIsRefusedAndTheArmsAreHandedBack() async throws {
        let directory = try TemporaryDirectory()
        let fleet = ScriptedFleet()
        fleet.offset = 1.5
        try await withGateway(fleet) { gatewayPort in
            try await withRobot { robot, masterPort in
                let settings = configuration(master: masterPort, gateway: gatewayPort, state: directory.url)
                #expect(await AgentRun(configuration: settings).execute() == .safety)
                #expect(robot.calls.suffix(2) == ["quick_mode false", "arm_mode 0"])
                #expect(fleet.finished.first?.outcome == .aborted)
            }
        }
    }
}
