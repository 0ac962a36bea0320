import GrootCore
import Testing

@testable import RobotAgent

struct HandBackMachineTests {
    private static let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    /// What every call needs until the robot confirms it: 0 at once, 9 never.
    private struct Robot {
        var failuresLeft: [Int]
        var calls: [Int] = []
        /// Time that one call takes.
        var callTime: Duration

        mutating func confirms(_ call: Int) -> Bool {
            calls.append(call)
            failuresLeft[call] -= 1
            return failuresLeft[call] < 0
        }
    }

    private func run(
        _ robot: inout Robot,
        total: Duration
    ) -> (end: HandBackMachine.Action, after: Duration) {
        var now = Self.start
        var machine = HandBackMachine(calls: robot.failuresLeft.count, limits: .init(total: total), startedAt: now)
        while true {
            switch machine.next(at: now) {
            case .call(let call):
                now = now + robot.callTime
                if robot.confirms(call) { machine.confirmed() } else { machine.failed() }
            case .wait(let pause):
                #expect(pause > .zero)
                now = now + pause
            case let end: return (end, now - Self.start)
            }
        }
    }

    /// Two calls, each refused 0, 1, 2 or any number of times, answered at once or hanging: all of it.
    @Test(arguments: [Duration.milliseconds(2), .seconds(5)])
    func everyCombinationEndsAsItMust(callTime: Duration) {
        let patience = Duration.seconds(60)
        for first in [0, 1, 2, 1000] {
            for second in [0, 1, 2, 1000] {
                var robot = Robot(failuresLeft: [first, second], callTime: callTime)
                let (end, after) = run(&robot, total: patience)
                let never = [first, second].indices.filter { [first, second][$0] == 1000 }
                #expect(end == (never.isEmpty ? .confirmed : .gaveUp(never)), "\(first) \(second)")
                #expect(robot.calls.prefix(2) == [0, 1], "the profile's order, each of them at once")
                for (call, refusals) in [first, second].enumerated() where refusals < 1000 {
                    #expect(robot.calls.count { $0 == call } == refusals + 1, "what is confirmed is not asked again")
                }
                // Bounded: a round that began in time may end late.
                #expect(after <= patience + callTime * 2)
                if !never.isEmpty { #expect(after >= patience) }
            }
        }
    }

    @Test func pausesGrowAndAreBounded() {
        var now = Self.start
        var machine = HandBackMachine(calls: 1, limits: .init(total: .seconds(100)), startedAt: now)
        var pauses: [Duration] = []
        loop: while true {
            switch machine.next(at: now) {
            case .call: machine.failed()
            case .wait(let pause):
                pauses.append(pause)
                now = now + pause
            default: break loop
            }
        }
        #expect(
            pauses.prefix(6) == [.milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(10)]
        )
        #expect(pauses.allSatisfy { $0 <= .seconds(10) })
        #expect(pauses.reduce(.zero, +) == .seconds(100))
    }

    /// Woken early, it waits for the rest and not from the start.
    @Test func anEarlyLookDoesNotRestartThePause() {
        var machine = HandBackMachine(calls: 1, limits: .init(total: .seconds(10)), startedAt: Self.start)
        #expect(machine.next(at: Self.start) == .call(0))
        machine.failed()
        #expect(machine.next(at: Self.start) == .wait(.milliseconds(500)))
        #expect(machine.next(at: Self.start + .milliseconds(400)) == .wait(.milliseconds(100)))
        #expect(machine.next(at: Self.start + .milliseconds(500)) == .call(0))
    }

    @Test func nothingToHandBackIsConfirmed() {
        var machine = HandBackMachine(calls: 0, limits: .init(total: .zero), startedAt: Self.start)
        #expect(machine.next(at: Self.start) == .confirmed)
    }

    @Test func withoutTimeOneRoundIsMade() {
        var robot = Robot(failuresLeft: [0, 9], callTime: .seconds(5))
        let (end, after) = run(&robot, total: .zero)
        #expect(end == .gaveUp([1]) && robot.calls == [0, 1] && after == .seconds(10))
    }
}
