import GrootCore
import Testing

@testable import RobotAgent

/// Arms that are not where they were commanded to be, and measurements that are not where the arms are.
struct FollowingErrorTests {
    static let phases: [SessionPhase] = [
        .approaching, .homing, .following, .holding, .standing, .waiting, .paused, .stopped,
    ]
    /// Phases in which a fault ends the session; in the others the command first moves to the arm.
    static let moving: [SessionPhase] = [.approaching, .homing, .following, .holding]

    /// An encoder slips and stays off by 0.8 rad, whatever is commanded: nothing runs after it to the joint's limit.
    @Test(arguments: phases, [Float(0.8), -0.8, 0.5])
    func aSlippedEncoderIsNotRunAfter(phase: SessionPhase, offset: Float) throws {
        var bench = MachineBench.fit(for: phase)
        try bench.enter(phase)
        bench.isObedient = false
        let start = bench.command
        var farthest: Float = 0
        for _ in 0..<400 {
            bench.inputs.measured = [bench.command[0] + offset, bench.command[1], 40]
            bench.run()
            farthest = max(farthest, abs(bench.command[0] - start[0]))
            if phase == .following, bench.phase == .following, bench.status.runwayTicks < 20 {
                _ = try bench.chunk(0, id: UInt64(bench.tick))
            }
        }
        guard case .notFollowing(0, _)? = bench.status.fault else {
            Issue.record("\(phase): \(String(describing: bench.status.fault))")
            return
        }
        #expect(bench.phase == .leaving)
        // Its own way on until the fault is found, and the tolerance with the braking behind it; standing arms move once.
        let moves = Self.moving.contains(phase) ? 0.35 + 0.6 : abs(offset)
        #expect(farthest < moves + 0.3, "\(phase): \(farthest)")
    }

    /// A standing arm that is pushed, seen there, and pushed again is held there each time.
    @Test func anArmMayBePushedAgainOnceItWasSeenWhereTheCommandWent() throws {
        var bench = MachineBench()
        try bench.enter(.stopped)
        bench.isObedient = false
        for push in 1...3 {
            bench.inputs.measured[0] -= 0.4
            bench.run(150)
            #expect(bench.phase == .stopped && bench.status.fault == nil && bench.status.yields == UInt64(push))
            #expect(abs(bench.command[0] - bench.inputs.measured[0]) < 0.01)
        }
    }

    /// Torque that is no number is none below the limit; without a limit it is nobody's business.
    @Test(arguments: [Float.nan, .infinity, 21, -21])
    func torqueThatCannotBeBelievedIsAFaultWhereThereIsALimit(torque: Float) throws {
        for limit in [[Float](), [20, 20]] {
            var configuration = MachineBench.configuration()
            configuration.limits.torque = limit
            var bench = MachineBench(configuration)
            try bench.enter(.following)
            bench.inputs.hasTorque = true
            bench.inputs.torque = [0, torque]
            let pose = bench.command
            bench.run(41)
            guard !limit.isEmpty else {
                #expect(bench.status.fault == nil)
                continue
            }
            guard case .overTorque(1, _)? = bench.status.fault else {
                Issue.record("\(String(describing: bench.status.fault))")
                continue
            }
            #expect(bench.status.fault?.label == "not_following")
            bench.run(150)
            #expect(bench.phase == .leaving)
            #expect(zip(pose, bench.command).allSatisfy { abs($0 - $1) < 0.2 })
        }
    }
}
