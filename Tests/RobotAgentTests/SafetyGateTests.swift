import GrootCore
import Testing

@testable import RobotAgent

/// What every command passes, in every phase: position, velocity, acceleration, and the deceleration of a stop.
struct SafetyGateTests {
    /// Two arm joints, one claw.
    static func gate(acceleration: Float = .infinity, frozen: Set<Int> = []) -> SafetyGate {
        SafetyGate(
            limits: .init(
                minimum: [-1, -1, 0],
                maximum: [1, 1, 100],
                velocity: [2, 2, .infinity],
                acceleration: [acceleration, acceleration, .infinity],
                firstActionTolerance: 0.3,
                arms: 0..<2,
                hold: .milliseconds(500)
            ),
            tick: .milliseconds(10),
            frozen: frozen
        )
    }

    @Test func clampsPositionAndVelocityAndSaysWhich() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        #expect(gate.followed([0.01, 0, 50], elapsed: 1) == [])
        #expect(gate.output == [0.01, 0, 50])
        #expect(gate.followed([0.5, 0, 50], elapsed: 1) == .velocity)
        #expect(abs(gate.output[0] - 0.03) < 1e-6)
        for _ in 0..<200 { _ = gate.followed([3, 0, 130], elapsed: 1) }
        #expect(gate.followed([3, 0, 130], elapsed: 1) == .position)
        #expect(gate.output == [1, 0, 100])
    }

    @Test func limitsAccelerationAndStillReachesTheTarget() {
        var gate = Self.gate(acceleration: 20)
        gate.started(at: [0, 0, 0])
        // From rest 20 rad/s² allow 2 mm-rad in the first tick.
        #expect(gate.followed([0.1, 0, 0], elapsed: 1) == .acceleration)
        #expect(abs(gate.output[0] - 0.002) < 1e-6)
        var largest: Float = 0
        for _ in 0..<60 {
            _ = gate.followed([0.1, 0, 0], elapsed: 1)
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
            #expect(gate.followed([position, 0, 0], elapsed: 1) == [], "tick \(tick)")
            #expect(abs(gate.output[0] - position) < 1e-5)
        }
    }

    @Test func clawNoiseIsNoSafetyEvent() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        #expect(gate.followed([0, 0, -0.8], elapsed: 1) == [])
        #expect(gate.output[2] == 0)
    }

    @Test func aMissedCycleMayMoveTwiceAsFar() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 0])
        _ = gate.followed([0.5, 0, 0], elapsed: 2)
        #expect(abs(gate.output[0] - 0.04) < 1e-6)
    }

    @Test func refusesAFirstActionFarFromThePose() {
        let gate = Self.gate()
        let near: [Float] = [0.29, 0, 100]
        #expect(gate.firstActionArrived({ near[$0] }, measured: [0, 0, 0]) == nil)
        let far: [Float] = [0, -0.5, 0]
        #expect(Self.gate(frozen: [1]).firstActionArrived({ far[$0] }, measured: [0, 0, 0]) == nil, "frozen")
        let fault = gate.firstActionArrived({ far[$0] }, measured: [0, 0, 0])
        #expect(fault == .farFromPose(dimension: 1, distance: 0.5))
    }

    @Test func aBrakeSlowsDownInALineAndStandsThere() {
        var gate = Self.gate()
        gate.started(at: [0, 0, 30])
        for index in 1...20 { _ = gate.followed([0.02 * Float(index), 0, 80], elapsed: 1) }
        gate.brakeBegan()
        var previous = gate.output[0]
        var step: Float = 0.0201
        var ticks = 0
        while !gate.braked(elapsed: 1), ticks < 100 {
            let moved = gate.output[0] - previous
            #expect(moved >= -1e-6 && moved <= step, "speed only falls")
            (previous, step) = (gate.output[0], moved + 1e-6)
            ticks += 1
        }
        #expect((28...30).contains(ticks), "0.3 s: \(ticks)")
        #expect(gate.output[0] < 0.4 + 0.31, "half of 2 rad/s for 0.3 s")
        #expect(gate.output[2] == 80, "claws as they are")
        let rest = gate.output
        for _ in 0..<50 { gate.stood(elapsed: 1) }
        #expect(gate.output == rest && !gate.isMoving)
    }

    @Test func aTargetThatIsNoNumberIsNamed() {
        #expect(Self.gate().targetChosen([0, .nan, 0]) == .notFinite(dimension: 1))
        #expect(Self.gate().targetChosen([0, 1, 0]) == nil)
    }

    @Test func frozenDimensionsStayInEveryMotion() {
        var gate = Self.gate(frozen: [0, 2])
        gate.started(at: [0.2, 0, 7])
        for _ in 0..<20 { _ = gate.followed([0.9, 0.3, 100], elapsed: 1) }
        gate.yielded(to: [-1, -1, -1], elapsed: 1)
        gate.brakeBegan()
        while !gate.braked(elapsed: 1) {}
        #expect(gate.output[0] == 0.2 && gate.output[2] == 7 && gate.output[1] != 0)
    }

    @Test func aYieldingArmComesBackWithinTheLimits() {
        var gate = Self.gate(acceleration: 20)
        gate.started(at: [0.5, 0, 0])
        for _ in 0..<200 {
            let before = gate.output[0]
            gate.yielded(to: [-0.4, 0, 50], elapsed: 1)
            #expect(abs(gate.output[0] - before) <= 0.0201)
        }
        #expect(abs(gate.output[0] + 0.4) < 1e-4 && gate.output[2] == 0)
    }

    @Test func aPoseThatTheArmCannotHaveIsNamed() {
        let gate = Self.gate()
        #expect(gate.poseMeasured([0.9, -1.05, 400]) == nil)
        #expect(gate.poseMeasured([46, 0, 0]) == .impossiblePose(dimension: 0, value: 46))
        #expect(gate.poseMeasured([0, .nan, 0]) != nil)
    }

    /// Random plans, against the limits themselves and against a gate without an acceleration limit.
    @Test(arguments: UInt64(1)...60)
    func neverExceedsALimit(seed: UInt64) {
        var random = SplitMix(state: seed)
        let acceleration: Float = Bool.random(using: &random) ? .infinity : Float.random(in: 5...100, using: &random)
        var gate = Self.gate(acceleration: acceleration)
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
            if isMissing { gate.stood(elapsed: 1) } else { _ = gate.followed(target, elapsed: 1) }
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
        for _ in 0..<300 { _ = gate.followed(target, elapsed: 1) }
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
