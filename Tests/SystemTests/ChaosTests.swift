import Foundation
import GrootTesting
import Testing

/// Chaos: whatever is killed, damaged or filled up, and whenever, every record is accounted for exactly once.
///
/// `make chaos ROUNDS=100 SEED=1`; the same seed deals the same blows. Without ROUNDS each kind comes once.
@Suite(.serialized)
struct ChaosSerialTests {
    /// What may happen to a fleet.
    private enum Blow: CaseIterable {
        /// kill -9, and a new one at once, as a person would start it.
        case agent
        /// kill -9 of some of PostgreSQL's processes.
        case backends
        /// kill -9 of PostgreSQL's first process.
        case postmaster
        /// kill -9; systemd starts it after a while.
        case gateway
        case worker
        /// A byte of what a dead agent left on its disk is another one.
        case spool
        /// The robots' disk has no room for a while.
        case disk
    }

    private static let rounds = ProcessInfo.processInfo.environment["ROUNDS"].flatMap(Int.init)
    private static let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? 7

    @Test(.timeLimit(.minutes(120)))
    func killingAnythingAtAnyMomentLosesAndDoublesNothing() async throws {
        let fleet = try FleetFixture()
        let disk = SmallDisk.mayMount ? try SmallDisk(fleet.folder.url.appending(path: "robots"), megabytes: 16) : nil
        let scene = try await FaultScene(fleet, spools: disk?.folder)
        let robot = scene.robots[0]
        try scene.startAgent(robot)
        try await scene.finished(1, within: .seconds(90))
        var random = Seeded(state: Self.seed)
        let kinds = Blow.allCases.filter { disk != nil || $0 != .disk }
        var plan: [Blow] = []
        for round in 0..<(Self.rounds ?? kinds.count) {
            // Each kind equally often, in another order each time.
            if plan.isEmpty { plan = kinds.shuffled(using: &random) }
            let blow = plan.removeLast()
            try await Task.sleep(for: .milliseconds(Int.random(in: 50...4000, using: &random)))
            print("chaos: seed \(Self.seed), round \(round): \(blow)")
            try await deal(blow, to: scene, disk, &random)
            if robot.agent?.isRunning != true { try scene.startAgent(robot) }
            try await scene.finished(1, within: .seconds(120))
        }
        try await scene.ready(scene.gateway, fleet.gatewayAdmin)
        try await scene.account(mayLose: disk != nil, mayDamage: true)
    }

    private func deal(_ blow: Blow, to scene: FaultScene, _ disk: SmallDisk?, _ random: inout Seeded) async throws {
        let robot = scene.robots[0]
        let pause = Duration.milliseconds(Int.random(in: 0...1500, using: &random))
        switch blow {
        case .agent:
            try scene.killAgent(robot)
            try scene.startAgent(robot)
        case .backends:
            for id in scene.postgres.sorted().shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)) {
                kill(id, SIGKILL)
            }
        case .postmaster:
            guard let id = scene.postmaster else { return }
            kill(id, SIGKILL)
        case .gateway:
            scene.gateway.kill()
            try await Task.sleep(for: pause)
            try await scene.restartGateway()
        case .worker:
            scene.worker.kill()
            try await Task.sleep(for: pause)
            try await scene.restartWorker()
        case .spool:
            // So that there is something on the disk when the agent dies.
            let stopped = scene.postgres
            for id in stopped { kill(id, SIGSTOP) }
            try await Task.sleep(for: pause)
            try scene.killAgent(robot)
            try scene.damageSpool(of: robot, at: Double.random(in: 0..<1, using: &random))
            for id in stopped { kill(id, SIGCONT) }
            try scene.startAgent(robot)
        case .disk:
            // A page for the episode that ends meanwhile: with nothing to give up, episodes would have to go.
            try disk?.fill(leaving: 32 << 10)
            try await Task.sleep(for: pause)
            try disk?.makeRoom()
        }
    }
}

/// SplitMix64: the same seed deals the same blows.
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
