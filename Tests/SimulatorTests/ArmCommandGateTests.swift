import Testing

@testable import Simulator

/// The order of services that the real robot demands.
@Suite struct ArmCommandGateTests {
    private static let degrees = [Double](repeating: 20, count: 14)

    private static func gate() -> ArmCommandGate { ArmCommandGate(command: HomePosture.joints + [0, 0]) }

    @Test func quickModeIsRefusedBeforeExternalMode() {
        var gate = Self.gate()
        #expect(!gate.quickModeRequested(true).accepted)
        #expect(gate.modeRequested(2).accepted)
        #expect(gate.quickModeRequested(true).accepted)
        #expect(gate.isQuick)
    }

    @Test func targetsAreIgnoredOutsideExternalMode() {
        var gate = Self.gate()
        #expect(gate.armTargetReceived(degrees: Self.degrees) == .notExternal(.hold))
        #expect(gate.ticked(seconds: 0.01) == HomePosture.joints + [0, 0])
    }

    @Test func quickModeObeysAtOnceInRadians() {
        var gate = Self.gate()
        _ = gate.modeRequested(2)
        _ = gate.quickModeRequested(true)
        #expect(gate.armTargetReceived(degrees: Self.degrees) == nil)
        #expect(abs(gate.ticked(seconds: 0.01)[5] - 20 * .pi / 180) < 1e-12)
    }

    @Test func withoutQuickModeThePlannerIsSlow() {
        var gate = Self.gate()
        _ = gate.modeRequested(2)
        #expect(gate.armTargetReceived(degrees: Self.degrees) == nil)
        let before = gate.command
        let after = gate.ticked(seconds: 0.01)
        for joint in 0..<14 { #expect(abs(after[joint] - before[joint]) <= ArmCommandGate.plannerSpeed * 0.01 + 1e-12) }
        #expect(after != before)
    }

    @Test func malformedTargetsAreRefused() {
        var gate = Self.gate()
        _ = gate.modeRequested(2)
        #expect(gate.armTargetReceived(degrees: [1, 2, 3]) == .wrongCount(3))
        #expect(gate.armTargetReceived(degrees: Self.degrees.dropLast() + [.nan]) == .notFinite)
        #expect(gate.clawTargetReceived([1]) == false)
        #expect(gate.clawTargetReceived([.infinity, 0]) == false)
    }

    @Test func leavingExternalModeHoldsAndEndsQuickMode() {
        var gate = Self.gate()
        _ = gate.modeRequested(2)
        _ = gate.quickModeRequested(true)
        _ = gate.armTargetReceived(degrees: Self.degrees)
        let last = gate.ticked(seconds: 0.01)
        #expect(gate.modeRequested(0).accepted)
        #expect(!gate.isQuick)
        #expect(Array(gate.ticked(seconds: 0.01).prefix(14)) == Array(last.prefix(14)))
    }

    @Test func modeOneReturnsHomeAndUnknownModesAreRefused() {
        var gate = ArmCommandGate(command: [Double](repeating: 0, count: 16))
        #expect(gate.modeRequested(1).accepted)
        var command = gate.command
        for _ in 0..<1000 { command = gate.ticked(seconds: 0.01) }
        #expect(Array(command.prefix(14)) == HomePosture.joints)
        #expect(!gate.modeRequested(3).accepted)
        #expect(gate.mode == .initialPose)
    }

    @Test func clawsAreClampedAndMoveAtTheirSpeed() {
        var gate = Self.gate()
        #expect(gate.clawTargetReceived([150, -3]) == true)
        #expect(gate.ticked(seconds: 0.01)[14] == 4)
        for _ in 0..<100 { _ = gate.ticked(seconds: 0.01) }
        #expect(Array(gate.command.suffix(2)) == [100, 0])
    }
}
