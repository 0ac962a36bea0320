import Foundation
import GrootCore
import Logging
import ROS1

@testable import RobotAgent

/// A scripted robot behind an embedded ROS master while `body` runs.
func withRobot(_ body: (ScriptedRobot, Int) async throws -> Void) async throws {
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

/// What a test's agent is told.
func configuration(master: Int, gateway: Int, state: URL) -> AgentConfiguration {
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
