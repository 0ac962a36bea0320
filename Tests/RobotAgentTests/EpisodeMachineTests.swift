import GrootCore
import Testing

@testable import RobotAgent

struct EpisodeMachineTests {
    private let start = MonotonicInstant(nanoseconds: 5_000_000_000)

    private func machine() -> EpisodeMachine {
        EpisodeMachine(limits: .init(episode: .seconds(20), firstAction: .seconds(30)), startedAt: start)
    }

    @Test func theFirstDecisionWins() {
        var machine = machine()
        machine.firstActionExecuted(at: start + .seconds(1))
        machine.judged(.success, reason: "placed", by: .simulator, at: start + .seconds(6))
        machine.aborted(reason: "late", by: .agent, at: start + .seconds(7))
        machine.timePassed(start + .seconds(60))
        #expect(
            machine.verdict
                == .init(outcome: .success, reason: "placed", decidedBy: .simulator, duration: .seconds(5))
        )
    }

    @Test func timeRunsFromTheFirstAction() {
        var machine = machine()
        machine.timePassed(start + .seconds(29))
        machine.firstActionExecuted(at: start + .seconds(29))
        machine.timePassed(start + .seconds(48))
        #expect(machine.verdict == nil)
        machine.timePassed(start + .seconds(49))
        #expect(machine.verdict?.outcome == .timeout)
        #expect(machine.verdict?.duration == .seconds(20))
    }

    @Test func anEpisodeWithoutActionsIsAborted() {
        var machine = machine()
        machine.timePassed(start + .seconds(30))
        #expect(machine.verdict?.outcome == .aborted)
        #expect(machine.verdict?.duration == .zero)
    }
}
