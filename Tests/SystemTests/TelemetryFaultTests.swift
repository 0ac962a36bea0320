import Foundation
import GrootTesting
import Testing

/// Real gateway, worker, simulator, agent and PostgreSQL, which hangs; afterwards every episode and every inference is there
/// exactly once.
@Suite(.serialized)
struct TelemetryFaultSerialTests {
    @Test(.timeLimit(.minutes(5)))
    func aDatabaseThatHangsStopsNoRobotAndCatchesUp() async throws {
        let scene = try await FaultScene(FleetFixture())
        try scene.startAgent(scene.robots[0])
        try await scene.finished(1, within: .seconds(90))
        let stopped = scene.postgres
        #expect(!stopped.isEmpty)
        for id in stopped { kill(id, SIGSTOP) }
        // Robots go on without it.
        try await scene.finished(3, within: .seconds(90))
        #expect(try scene.waiting(scene.robots[0]) > 0, "records wait on disk meanwhile")
        for id in stopped { kill(id, SIGCONT) }
        try await scene.ready(scene.gateway, scene.fleet.gatewayAdmin)
        try await scene.account()
    }
}
