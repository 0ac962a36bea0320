import GrootCore
import Testing

@testable import RobotAgent

/// The rows of the truth table in docs/safety.md.
struct SafetyGateTests {
    /// Two arm joints, one claw.
    static func gate(
        hold: Duration = .milliseconds(500),
        linkHold: Duration? = nil,
        acceleration: Float = .infinity
    ) -> SafetyGate {
        SafetyGate(
            limits: .init(
                minimum: [-1, -1, 0],
                maximum: [1, 1, 100],
                velocity: [2, 2, .infinity],
                acceleration: [acceleration, acceleration, .infinity],
                firstActionTolerance: 0.3,
                arms: 0..<2,
                hold: hold,
                linkHold: linkHold
            )
        )
    }

    private let fresh = SafetyGate.Input(stateAge: .milliseconds(2))

    @Test func isSilentUntilStarted() {
        var gate = Self.gate()
        #expect(gate.ticked(planned: [0, 0, 0], fresh) == .silent)
    }

    @Test func clampsPositionAndVelocityAndSaysWhich() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        #expect(gate.ticked(planned: [0.01, 0, 50], fresh) == .follow([]))
        #expect(gate.output == [0.01, 0, 50])
        #expect(gate.ticked(planned: [0.5, 0, 50], fresh) == .follow(.velocity))
        #expect(abs(gate.output[0] - 0.03) < 1e-6)
        for _ in 0..<200 { _ = gate.ticked(planned: [3, 0, 130], fresh) }
        #expect(gate.ticked(planned: [3, 0, 130], fresh) == .follow(.position))
        #expect(gate.output == [1, 0, 100])
    }

    @Test func limitsAccelerationAndStillReachesTheTarget() {
        var gate = Self.gate(acceleration: 20)
        gate.started(at: [0, 0, 0])
        // From rest 20 rad/s² allow 2 mm-rad in the first tick.
        #expect(gate.ticked(planned: [0.1, 0, 0], fresh) == .follow(.acceleration))
        #expect(abs(gate.output[0] - 0.002) < 1e-6)
        var largest: Float = 0
        for _ in 0..<60 {
            _ = gate.ticked(planned: [0.1, 0, 0], fresh)
            largest = max(largest, gate.output[0])
        }
        #expect(gate.output[0] == 0.1)
        // Less than a quarter of what one tick of acceleration moves.
        #expect(largest < 0.1 + 5e-4, "it does not swing past a target at rest: \(largest)")
    }

    @Test func aPlanWithinTheLimitsPassesUnchanged() {
        var gate = Self.gate(acceleration: 20)
        gate.started(at: [0, 0, 0])
        var position: Float = 0
        for tick in 0..<300 {
            // Up to 1 rad/s within half a second, then back: 2 rad/s².
            let speed = tick < 50 ? Float(tick) / 50 : tick < 100 ? Float(100 - tick) / 50 : 0
            position += speed * 0.01
            #expect(gate.ticked(planned: [position, 0, 0], fresh) == .follow([]), "tick \(tick)")
            #expect(abs(gate.output[0] - position) < 1e-5)
        }
    }

    @Test func clawNoiseIsNoSafetyEvent() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        #expect(gate.ticked(planned: [0, 0, -0.8], fresh) == .follow([]))
        #expect(gate.output[2] == 0)
    }

    @Test func aMissedCycleMayMoveTwiceAsFar() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        _ = gate.ticked(planned: [0.5, 0, 0], .init(elapsedTicks: 2))
        #expect(abs(gate.output[0] - 0.04) < 1e-6)
    }

    @Test func refusesAFirstActionFarFromThePose() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        let near: [Float] = [0.29, 0, 100]
        #expect(gate.firstActionArrived({ near[$0] }, measured: [0, 0, 0]) == nil)
        let far: [Float] = [0, -0.5, 0]
        #expect(gate.firstActionArrived({ far[$0] }, measured: [0, 0, 0], checking: { $0 != 1 }) == nil, "frozen")
        let fault = gate.firstActionArrived({ far[$0] }, measured: [0, 0, 0])
        #expect(fault == .farFromPose(dimension: 1, distance: 0.5))
        #expect(gate.ticked(planned: [0, 0, 0], fresh) == .silent)
    }

    @Test func aTargetThatIsNoNumberStopsTheRobotGently() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        for index in 1...20 { _ = gate.ticked(planned: [0.01 * Float(index), 0, 0], fresh) }
        var previous = gate.output[0]
        var step: Float = 0.0101
        var verdict = gate.ticked(planned: [.nan, 0, 0], fresh)
        var ticks = 0
        while verdict == .stopping {
            let moved = gate.output[0] - previous
            #expect(moved >= -1e-6 && moved <= step, "speed only falls")
            #expect(gate.output.allSatisfy { $0.isFinite })
            step = moved + 1e-6
            previous = gate.output[0]
            verdict = gate.ticked(planned: [.nan, 0, 0], fresh)
            ticks += 1
        }
        #expect(verdict == .silent)
        #expect((20...30).contains(ticks))
        #expect(gate.fault == .notFinite(dimension: 0))
    }

    @Test func holdsThenStopsWhenNothingIsLeft() {
        var gate = Self.gate(hold: .milliseconds(100))
        gate.started(at: [0, 0, 0])
        _ = gate.ticked(planned: [0.01, 0, 7], fresh)
        for _ in 0..<10 {
            #expect(gate.ticked(planned: nil, fresh) == .hold(.nothingPlanned))
            #expect(gate.output == [0.01, 0, 7], "holding never improvises")
        }
        #expect(gate.ticked(planned: nil, fresh) == .silent)
        #expect(gate.fault == .starved)
    }

    @Test func aLostLinkIsHeldLonger() {
        var gate = Self.gate(hold: .milliseconds(50), linkHold: .milliseconds(200))
        gate.started(at: [0, 0, 0])
        var lost = fresh
        lost.isLinkLost = true
        for _ in 0..<20 { #expect(gate.ticked(planned: nil, lost) == .hold(.nothingPlanned)) }
        #expect(gate.ticked(planned: nil, lost) == .silent)
        #expect(gate.fault == .linkLost)
    }

    @Test func aNewActionEndsTheHold() {
        var gate = Self.gate(hold: .milliseconds(100))
        gate.started(at: [0, 0, 0])
        for _ in 0..<5 {
            for _ in 0..<9 { _ = gate.ticked(planned: nil, fresh) }
            #expect(gate.ticked(planned: [0, 0, 0], fresh) == .follow([]))
        }
        #expect(gate.fault == nil)
    }

    @Test func staleJointStateCountsAsNothingToExecute() {
        var gate = Self.gate(hold: .milliseconds(100))
        gate.started(at: [0, 0, 0])
        _ = gate.ticked(planned: [0.01, 0, 0], fresh)
        #expect(gate.ticked(planned: [0.02, 0, 0], .init(stateAge: .milliseconds(300))) == .hold(.staleState))
        #expect(gate.output[0] == 0.01)
        var verdict = SafetyGate.Verdict.silent
        for _ in 0..<10 { verdict = gate.ticked(planned: [0.02, 0, 0], .init(stateAge: nil)) }
        #expect(verdict == .silent)
        #expect(gate.fault == .blind)
    }

    @Test func aStaleActionIsNotExecuted() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        let old = SafetyGate.Input(actionAge: .milliseconds(3001))
        #expect(gate.ticked(planned: [0.01, 0, 0], old) == .hold(.staleAction))
        #expect(gate.output[0] == 0)
        #expect(gate.ticked(planned: [0.01, 0, 0], .init(actionAge: .milliseconds(3000))) == .follow([]))
    }

    @Test func aClockJumpHoldsInsteadOfLeaping() {
        var gate = Self.gate(hold: .milliseconds(500))
        gate.started(at: [0, 0, 0])
        #expect(gate.ticked(planned: [0.5, 0, 0], .init(elapsedTicks: 500)) == .hold(.clockJump))
        #expect(gate.output[0] == 0)
        #expect(gate.ticked(planned: [0.01, 0, 0], fresh) == .follow([]), "five lost seconds are not a starved robot")
    }

    @Test func aPauseStandsAndGoesOn() {
        var gate = Self.gate(hold: .milliseconds(50), acceleration: 20)
        gate.started(at: [0, 0, 0])
        for index in 1...20 { _ = gate.ticked(planned: [0.002 * Float(index), 0, 0], fresh) }
        gate.pauseRequested()
        for _ in 0..<100 { #expect(gate.ticked(planned: [1, 0, 0], fresh) == .hold(.paused)) }
        #expect(abs(gate.output[0] - 0.04) < 1e-4, "it stands where the plan had come to")
        gate.resumeRequested()
        #expect(gate.ticked(planned: [0.041, 0, 0], fresh) == .follow([]))
        gate.pauseRequested()
        gate.stopRequested()
        #expect(gate.ticked(planned: nil, fresh) == .stopping)
    }

    /// Random plans, against the limits themselves and against a gate without an acceleration limit.
    @Test(arguments: UInt64(1)...60)
    func neverExceedsALimit(seed: UInt64) {
        var random = SplitMix(state: seed)
        let acceleration: Float = Bool.random(using: &random) ? .infinity : Float.random(in: 5...100, using: &random)
        var gate = Self.gate(hold: .seconds(100), acceleration: acceleration)
        var reference = ReferenceGate()
        gate.started(at: [0, 0, 0])
        var target: [Float] = [0, 0, 0]
        var last = gate.output
        var lastStep: Float = 0
        for tick in 0..<800 {
            if Int.random(in: 0..<20, using: &random) == 0 {
                target = [Float.random(in: -1.5...1.5, using: &random), 0, Float.random(in: -10...110, using: &random)]
            }
            let isMissing = Int.random(in: 0..<10, using: &random) == 0
            _ = gate.ticked(planned: isMissing ? nil : target, fresh)
            if !isMissing { reference.target = target[0] }
            reference.tick()
            let step = gate.output[0] - last[0]
            #expect(abs(step) <= 0.02 + 1e-5, "tick \(tick), seed \(seed)")
            #expect((-1...1).contains(gate.output[0]) && (0...100).contains(gate.output[2]))
            let isAtLimit = abs(gate.output[0]) == 1
            if !isAtLimit {
                #expect(abs(step - lastStep) <= acceleration * 1e-4 + 1e-5, "tick \(tick), seed \(seed)")
            }
            if acceleration == .infinity {
                #expect(abs(gate.output[0] - reference.output) < 1e-4, "tick \(tick), seed \(seed)")
            }
            last = gate.output
            lastStep = step
        }
        // Left alone, it arrives.
        for _ in 0..<300 { _ = gate.ticked(planned: target, fresh) }
        #expect(abs(gate.output[0] - min(max(target[0], -1), 1)) < 1e-4, "seed \(seed)")
    }

    /// Position and velocity limit of one joint, the obvious way.
    private struct ReferenceGate {
        var target: Float = 0
        var output: Float = 0

        mutating func tick() {
            let inside = min(max(target, -1), 1)
            output += min(max(inside - output, -0.02), 0.02)
        }
    }
}
