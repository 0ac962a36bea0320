import GrootCore
import Testing

@testable import RobotAgent

struct SafetyGateTests {
    /// Two arm joints, one claw.
    private func gate(hold: Duration = .milliseconds(500)) -> SafetyGate {
        SafetyGate(
            limits: .init(
                minimum: [-1, -1, 0],
                maximum: [1, 1, 100],
                velocity: [2, 2, .infinity],
                firstActionTolerance: 0.3,
                arms: 0..<2,
                hold: hold
            )
        )
    }

    private let fresh: Duration = .milliseconds(2)

    @Test func isSilentUntilStarted() {
        var gate = gate()
        #expect(gate.ticked(target: [0, 0, 0], elapsedTicks: 1, stateAge: fresh) == .silent)
    }

    @Test func clampsPositionAndVelocityAndCountsThem() {
        var gate = gate()
        gate.started(at: [0, 0, 0])
        #expect(
            gate.ticked(target: [0.01, 0, 50], elapsedTicks: 1, stateAge: fresh)
                == .publish(limited: false, held: false)
        )
        #expect(gate.output == [0.01, 0, 50])
        #expect(
            gate.ticked(target: [0.5, 0, 50], elapsedTicks: 1, stateAge: fresh) == .publish(limited: true, held: false)
        )
        #expect(abs(gate.output[0] - 0.03) < 1e-6)
        for _ in 0..<200 { _ = gate.ticked(target: [3, 0, 130], elapsedTicks: 1, stateAge: fresh) }
        #expect(gate.output == [1, 0, 100])
    }

    @Test func clawNoiseIsNoSafetyEvent() {
        var gate = gate()
        gate.started(at: [0, 0, 0])
        #expect(
            gate.ticked(target: [0, 0, -0.8], elapsedTicks: 1, stateAge: fresh) == .publish(limited: false, held: false)
        )
        #expect(gate.output[2] == 0)
    }

    @Test func aMissedCycleMayMoveTwiceAsFar() {
        var gate = gate()
        gate.started(at: [0, 0, 0])
        _ = gate.ticked(target: [0.5, 0, 0], elapsedTicks: 2, stateAge: fresh)
        #expect(abs(gate.output[0] - 0.04) < 1e-6)
    }

    @Test func refusesAFirstActionFarFromThePose() {
        var gate = gate()
        gate.started(at: [0, 0, 0])
        #expect(gate.firstActionArrived([0.29, 0, 100] as [Float], measured: [0, 0, 0]) == nil)
        let fault = gate.firstActionArrived([0, -0.5, 0] as [Float], measured: [0, 0, 0])
        #expect(fault == .farFromPose(dimension: 1, distance: 0.5))
        #expect(gate.ticked(target: [0, 0, 0], elapsedTicks: 1, stateAge: fresh) == .silent)
    }

    @Test func aTargetThatIsNoNumberStopsTheRobotGently() {
        var gate = gate()
        gate.started(at: [0, 0, 0])
        for index in 1...20 { _ = gate.ticked(target: [0.01 * Float(index), 0, 0], elapsedTicks: 1, stateAge: fresh) }
        var previous = gate.output[0]
        var step: Float = 0.0101
        var verdict = gate.ticked(target: [.nan, 0, 0], elapsedTicks: 1, stateAge: fresh)
        var ticks = 0
        while verdict == .stopping {
            let moved = gate.output[0] - previous
            #expect(moved >= -1e-6 && moved <= step, "speed only falls")
            #expect(gate.output.allSatisfy { $0.isFinite })
            step = moved + 1e-6
            previous = gate.output[0]
            verdict = gate.ticked(target: [.nan, 0, 0], elapsedTicks: 1, stateAge: fresh)
            ticks += 1
        }
        #expect(verdict == .silent)
        #expect((20...30).contains(ticks))
        #expect(gate.fault == .notFinite(dimension: 0))
    }

    @Test func holdsThenStopsWhenNothingIsLeft() {
        var gate = gate(hold: .milliseconds(100))
        gate.started(at: [0, 0, 0])
        _ = gate.ticked(target: [0.01, 0, 7], elapsedTicks: 1, stateAge: fresh)
        for _ in 0..<10 {
            #expect(gate.ticked(target: nil, elapsedTicks: 1, stateAge: fresh) == .publish(limited: false, held: true))
            #expect(gate.output == [0.01, 0, 7], "holding never improvises")
        }
        #expect(gate.ticked(target: nil, elapsedTicks: 1, stateAge: fresh) == .silent)
        #expect(gate.fault == .starved)
    }

    @Test func aNewActionEndsTheHold() {
        var gate = gate(hold: .milliseconds(100))
        gate.started(at: [0, 0, 0])
        for _ in 0..<5 {
            for _ in 0..<9 { _ = gate.ticked(target: nil, elapsedTicks: 1, stateAge: fresh) }
            #expect(
                gate.ticked(target: [0, 0, 0], elapsedTicks: 1, stateAge: fresh)
                    == .publish(limited: false, held: false)
            )
        }
        #expect(gate.fault == nil)
    }

    @Test func staleJointStateCountsAsNothingToExecute() {
        var gate = gate(hold: .milliseconds(100))
        gate.started(at: [0, 0, 0])
        _ = gate.ticked(target: [0.01, 0, 0], elapsedTicks: 1, stateAge: fresh)
        var verdict = gate.ticked(target: [0.02, 0, 0], elapsedTicks: 1, stateAge: .milliseconds(300))
        #expect(verdict == .publish(limited: false, held: true))
        #expect(gate.output[0] == 0.01)
        for _ in 0..<10 { verdict = gate.ticked(target: [0.02, 0, 0], elapsedTicks: 1, stateAge: nil) }
        #expect(verdict == .silent)
        #expect(gate.fault == .blind)
    }
}
