import Foundation
import GrootTesting
import Testing

/// Real gateway, worker, simulator, agent and PostgreSQL; things are killed or stopped, and
/// afterwards every episode and every inference is there exactly once.
@Suite(.serialized)
struct TelemetryFaultSerialTests {
    private static let rounds = ProcessInfo.processInfo.environment["ROUNDS"].flatMap(Int.init) ?? 3
    private static let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? 7

    @Test(.timeLimit(.minutes(60)))
    func killingAnythingAtAnyMomentLosesAndDoublesNothing() async throws {
        let scene = try await FaultScene(FleetFixture())
        let robot = scene.robots[0]
        try scene.startAgent(robot)
        try await scene.finished(1, within: .seconds(90))
        var random = Seeded(state: Self.seed)
        for round in 0..<Self.rounds {
            // Every kind in turn, at a random moment.
            try await Task.sleep(for: .milliseconds(Int.random(in: 50...4000, using: &random)))
            switch round % 3 {
            case 0:
                try scene.killAgent(robot)
                try scene.startAgent(robot)
            case 1:
                for id in scene.postgres.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)) {
                    kill(id, SIGKILL)
                }
            default:
                scene.gateway.kill()
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...1500, using: &random)))
                try await scene.restartGateway()
            }
            if robot.agent?.isRunning != true { try scene.startAgent(robot) }
            try await scene.finished(1, within: .seconds(120))
        }
        try await scene.ready(scene.gateway, scene.fleet.gatewayAdmin)
        try await scene.account()
    }

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

/// SplitMix64: the same seed kills the same things.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
