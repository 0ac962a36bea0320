import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
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
    private func configuration(
        master: Int,
        gateway: Int,
        state: URL
    ) -> AgentConfiguration {
        var configuration = AgentConfiguration(
            robot: "r1",
            task: "Depalletize the green box",
            gateway: .tcp(host: "127.0.0.1", port: gateway),
            rosMaster: "http://127.0.0.1:\(master)",
            stateDirectory: state
        )
        configuration.seed = 7
        configuration.readyTimeout = .seconds(20)
        configuration.episodeTimeout = .seconds(30)
        return configuration
    }

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
                if mode == .async { #expect(finished.starvedTicks == 0) } else { #expect(finished.starvedTicks > 0) }
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

    private func withGateway(_ fleet: ScriptedFleet, _ body: (Int) async throws -> Void) async throws {
        let server = GRPCServer(
            transport: .http2NIOPosix(address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext),
            services: [ScriptedInferenceService(fleet: fleet), ScriptedFleetService(fleet: fleet)]
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let port = try await #require(server.listeningAddress?.ipv4?.port)
            try await body(port)
            server.beginGracefulShutdown()
            group.cancelAll()
        }
    }

    private func withRobot(_ body: (ScriptedRobot, Int) async throws -> Void) async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let master = ROSMaster(port: 0, logger: logger)
        let port = try await master.start()
        let robot = try await ScriptedRobot(masterURI: "http://127.0.0.1:\(port)", logger: logger)
        let pump = Task { await robot.pump() }
        do {
            try await body(robot, port)
        } catch {
            pump.cancel()
            throw error
        }
        pump.cancel()
        await pump.value
        await robot.shutdown()
        await master.stop()
    }
}
