import GrootCore
import Testing

@testable import RobotAgent

/// Random orders, requests, chunks, inputs and missed cycles against the promises that hold whatever happens.
struct SessionPropertyTests {
    private static let velocity: Float = 2
    private static let stop: Float = 0.3

    /// The newest order after which the arms may only come to rest, and where they were then.
    private struct Mark {
        var tick: Int64
        var pose: [Float]
    }

    @Test(arguments: UInt64(1)...120)
    func noCommandBreaksAPromise(seed: UInt64) throws {
        var random = SplitMix(state: seed &* 7_919)
        var configuration = MachineBench.configuration()
        if Bool.random(using: &random) { configuration.limits.acceleration = [.infinity, .infinity, .infinity] }
        configuration.isAttended = Bool.random(using: &random)
        if Bool.random(using: &random) { configuration.wayPoints = MachineBench.wayPoints }
        let isFrozen = Int.random(in: 0..<4, using: &random) == 0
        if isFrozen { configuration.frozen = [1] }
        var bench = MachineBench(
            configuration,
            at: [Float.random(in: -1...1, using: &random), Float.random(in: -1...1, using: &random), 40]
        )
        var mark: Mark?
        var last: [Float]?
        var quietSince: Int64?
        var id: UInt64 = 0
        var frozenAt: Float?
        var moved = false
        for _ in 0..<3000 {
            disturb(&bench, &random)
            // What the run asks for, in and out of place.
            switch Int.random(in: 0..<60, using: &random) {
            case 0...3:
                id += 1
                bench.request(.home(id: id, opensClaws: Bool.random(using: &random)))
            case 4...9: bench.request(.beginEpisode())
            case 10: bench.request(.endEpisode)
            case 11: bench.request(Bool.random(using: &random) ? .askedApproval : .approved)
            case 12...25:
                id += 1
                let offset = Float.random(in: -2...2, using: &random)
                let isWild = Int.random(in: 0..<30, using: &random) == 0
                _ = try bench.chunk(isWild ? .nan : offset, ago: Int64.random(in: 0...60, using: &random), id: id)
            case 26 where Int.random(in: 0..<20, using: &random) == 0: bench.request(.release)
            default: break
            }
            if Int.random(in: 0..<90, using: &random) == 0 {
                let order = try #require(RobotAgent.Order.allCases.randomElement(using: &random))
                // An end is rare, or the rest tests nothing.
                let isEnd = [.interrupt, .terminate, .lostTerminal, .quit].contains(order)
                if !isEnd || Int.random(in: 0..<10, using: &random) == 0 {
                    let reaction = OrderTable.reaction(
                        to: order,
                        in: bench.phase,
                        isAttended: configuration.isAttended
                    )
                    let stands: [OrderReaction] = [.stop, .pause, .endEpisode, .leave, .leaveAtOnce]
                    mark = stands.contains(reaction) ? Mark(tick: bench.tick, pose: bench.command) : nil
                    bench.order(order)
                }
            }
            let elapsed = Int.random(in: 0..<200, using: &random) == 0 ? Int.random(in: 2...40, using: &random) : 1
            let isForbidden =
                bench.inputs.interlocks.contains(.otherCommander) || bench.inputs.interlocks.contains(.superseded)
            bench.run(1, elapsed: elapsed)
            guard bench.isPublishing else {
                last = nil
                frozenAt = nil
                continue
            }
            let command = bench.command
            // Position is hard, in every phase.
            #expect(zip(command, configuration.limits.minimum).allSatisfy { $0 >= $1 }, "seed \(seed)")
            #expect(zip(command, configuration.limits.maximum).allSatisfy { $0 <= $1 }, "seed \(seed)")
            if let last {
                for joint in 0..<2 {
                    let step = abs(command[joint] - last[joint])
                    #expect(step <= Self.velocity * 0.01 * Float(elapsed) + 1e-5, "tick \(bench.tick), seed \(seed)")
                    if step > 0.001 { moved = true }
                }
            }
            if isFrozen {
                if let frozenAt { #expect(command[1] == frozenAt, "seed \(seed)") }
                frozenAt = command[1]
            }
            // After an order to stand nothing goes further than the slowest stop.
            if let standing = mark, ![.approaching, .homing, .following, .waiting, .holding].contains(bench.phase) {
                if bench.machine.yields == bench.status.yields, !(bench.status.fault?.isElsewhere ?? false) {
                    for joint in 0..<2 where bench.isObedient {
                        #expect(
                            abs(command[joint] - standing.pose[joint]) <= Self.velocity * Self.stop + 1e-4,
                            "tick \(bench.tick), seed \(seed)"
                        )
                    }
                }
            } else {
                mark = nil
            }
            // Two sources never command for longer than a stop takes.
            if isForbidden {
                let since = quietSince ?? bench.tick
                quietSince = since
                #expect(bench.tick - since <= Int64(MachineBench.stopTicks) + 41, "tick \(bench.tick), seed \(seed)")
                #expect(!bench.inputs.interlocks.contains(.superseded), "seed \(seed)")
            } else {
                quietSince = nil
            }
            last = command
        }
        #expect(moved || bench.status.fault != nil || bench.phase == .leaving, "seed \(seed) tested nothing")
    }

    private func disturb(_ bench: inout MachineBench, _ random: inout SplitMix) {
        switch Int.random(in: 0..<500, using: &random) {
        case 0: bench.inputs.interlocks = .otherCommander
        case 1: bench.inputs.interlocks = .nobodyListens
        case 2: bench.inputs.interlocks = [.doubledInput, .unusableInput]
        case 3: bench.inputs.stateAge = nil
        case 4: bench.inputs.stateAge = .milliseconds(400)
        case 5: bench.inputs.link = .silent
        case 6: bench.inputs.link = .noWorkers
        case 7 where Int.random(in: 0..<10, using: &random) == 0: bench.inputs.interlocks = .superseded
        case 8 where Int.random(in: 0..<3, using: &random) == 0: bench.isObedient = false
        case 9...60:
            bench.inputs.interlocks = bench.inputs.interlocks.intersection(.superseded)
            bench.inputs.stateAge = .milliseconds(2)
            bench.inputs.link = .reachable
            if !bench.isObedient {
                bench.isObedient = true
                if bench.isPublishing { bench.inputs.measured = bench.command }
            }
        default: break
        }
    }
}
