import GrootCore
import Testing

@testable import Simulator

@Suite struct StepPacerTests {
    private static func at(_ milliseconds: Double) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(milliseconds * 1e6))
    }

    @Test func nothingIsDueBeforeTheDeadline() {
        var pacer = StepPacer(start: Self.at(0))
        #expect(pacer.nextDeadline == Self.at(2))
        #expect(pacer.woke(at: Self.at(1.9)).steps == 0)
        #expect(pacer.woke(at: Self.at(2)).steps == 1)
        #expect(pacer.nextDeadline == Self.at(4))
    }

    @Test func lateWakeUpsCatchUpWithoutDrift() {
        var pacer = StepPacer(start: Self.at(0))
        let due = pacer.woke(at: Self.at(11))
        #expect(due.steps == 5)
        #expect(due.behind == .milliseconds(9))
        #expect(pacer.nextDeadline == Self.at(12))
        #expect(pacer.lateTicks == 0)
    }

    @Test func ticksThatStartTooLateAreCounted() {
        var pacer = StepPacer(start: Self.at(0))
        _ = pacer.woke(at: Self.at(42))
        #expect(pacer.lateTicks == 3, "ticks are due at 2, 12, 22, 32 and 42 ms")
    }

    @Test func hugeDelaysAreGivenUp() {
        var pacer = StepPacer(start: Self.at(0))
        let due = pacer.woke(at: Self.at(5000))
        #expect(due.steps == 1)
        #expect(due.skipped > 2000)
        #expect(pacer.woke(at: Self.at(5001)).behind == .zero)
    }

    @Test func aRestartForgivesTheTimeSpent() {
        var pacer = StepPacer(start: Self.at(0))
        _ = pacer.woke(at: Self.at(2))
        pacer.restarted(at: Self.at(500))
        #expect(pacer.nextDeadline == Self.at(502))
    }
}
