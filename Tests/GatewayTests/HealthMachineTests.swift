import GrootCore
import Testing

@testable import Gateway

struct HealthMachineTests {
    @Test
    func comesUpWithTheFirstGoodCheck() {
        var machine = HealthMachine()
        #expect(machine.started(at: at(0)) == [.connect])
        #expect(machine.connected(at: at(5)) == [.check])
        #expect(!machine.isUp)
        #expect(machine.checkSucceeded(at: at(7)) == [.up, .wake(at: at(505))])
        #expect(machine.isUp && machine.reason.isEmpty)
    }

    @Test
    func aLostConnectionIsDownAtOnce() {
        var machine = up()
        #expect(machine.connectionLost("gone", at: at(100)) == [.down(reason: "gone"), .wake(at: at(200))])
        #expect(!machine.isUp)
        #expect(machine.timerFired(at: at(150)) == [.wake(at: at(200))])
        #expect(machine.timerFired(at: at(200)) == [.connect])
    }

    @Test
    func backOffDoublesUpToItsLimit() {
        var machine = HealthMachine()
        var now = at(0)
        _ = machine.started(at: now)
        var waits: [Duration] = []
        for _ in 0..<7 {
            guard case .wake(let next)? = machine.connectionLost("refused", at: now).last else { return }
            waits.append(next - now)
            now = next
            #expect(machine.timerFired(at: now) == [.connect])
        }
        #expect(waits == [100, 200, 400, 800, 1600, 2000, 2000].map { .milliseconds($0) })
    }

    @Test
    func twoFailedChecksTakeItOutWithinTwoSeconds() {
        var machine = up()
        // It dies right after the good check at 0; every check then runs into its timeout of 500 ms.
        #expect(machine.timerFired(at: at(500)) == [.check])
        #expect(machine.checkFailed("timeout", at: at(1000)) == [.wake(at: at(1000))])
        #expect(machine.isUp)
        #expect(machine.timerFired(at: at(1000)) == [.check])
        #expect(machine.checkFailed("timeout", at: at(1500)).first == .down(reason: "timeout"))
    }

    @Test
    func oneGoodCheckBringsItBack() {
        var machine = up()
        for start in [500, 1000] {
            _ = machine.timerFired(at: at(start))
            _ = machine.checkFailed("slow", at: at(start + 500))
        }
        #expect(!machine.isUp)
        _ = machine.timerFired(at: at(1500))
        #expect(machine.checkSucceeded(at: at(1501)).first == .up)
    }

    @Test
    func aConnectionThatStaysSilentIsGivenUp() {
        var machine = up()
        var start = 500
        var actions: [HealthMachine.Action] = []
        for _ in 0..<6 {
            _ = machine.timerFired(at: at(start))
            start += 500
            actions += machine.checkFailed("silent", at: at(start))
        }
        #expect(actions.contains(.disconnect))
        #expect(machine.timerFired(at: at(start + 100)) == [.connect])
    }

    @Test
    func afterGoAwayTheNextConnectionIsOpenedAtOnce() {
        var machine = up()
        let reason = "it is shutting down (GOAWAY)"
        #expect(
            machine.connectionWentAway(reason, after: .milliseconds(50), at: at(50)) == [
                .down(reason: reason), .connect,
            ]
        )
        #expect(machine.connected(at: at(51)) == [.check])
        #expect(machine.checkSucceeded(at: at(52)).first == .up)
    }

    /// A peer that says GOAWAY at once, again and again, is not asked in a circle.
    @Test
    func goAwayOfAConnectionThatHardlyLivedBacksOff() {
        var machine = up()
        let actions = machine.connectionWentAway("bye", after: .milliseconds(9), at: at(9))
        #expect(actions == [.down(reason: "bye"), .wake(at: at(109))])
        var unproven = HealthMachine()
        _ = unproven.started(at: at(0))
        _ = unproven.connected(at: at(0))
        #expect(unproven.connectionWentAway("bye", after: .seconds(1), at: at(1000)) == [.wake(at: at(1100))])
    }

    @Test
    func aSpareThatTakesOverIsCheckedAtOnceAndTheWorkerStaysUp() {
        var machine = up()
        #expect(machine.timerFired(at: at(500)) == [.check])
        #expect(machine.connectionReplaced(at: at(501)) == [.check], "the check under way went with the old one")
        #expect(machine.isUp)
        #expect(machine.checkSucceeded(at: at(502)) == [.wake(at: at(1001))])
    }

    /// Random events against what must hold whatever happens: up follows a good check on a live connection, a loss is
    /// down at once, `.up` and `.down` alternate, and the machine always has a way to go on.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func randomSequencesHoldTheInvariants(seed: UInt64) {
        var random = SplitMix(state: seed)
        var machine = HealthMachine()
        var now = at(0)
        var connecting = true
        var connected = false
        var checking = false
        var up = false
        var failures = 0
        var wake: MonotonicInstant?
        _ = machine.started(at: now)
        for _ in 0..<500 {
            now = now + .milliseconds(Int64(random.next() % 400))
            var actions: [HealthMachine.Action] = []
            switch random.next() % 7 {
            case 0 where connecting:
                actions = machine.connected(at: now)
                (connecting, connected, failures) = (false, true, 0)
            case 1 where connecting || connected:
                actions = machine.connectionLost("lost", at: now)
                (connecting, connected, checking) = (false, false, false)
            case 5 where connected:
                (connecting, connected, checking) = (false, false, false)
                actions = machine.connectionWentAway(
                    "went away",
                    after: .milliseconds(Int64(random.next() % 20)),
                    at: now
                )
            case 6 where connected:
                failures = 0
                actions = machine.connectionReplaced(at: now)
            case 2 where checking:
                checking = false
                failures = 0
                actions = machine.checkSucceeded(at: now)
                #expect(machine.isUp)
            case 3 where checking:
                checking = false
                failures += 1
                actions = machine.checkFailed("bad", at: now)
                if failures >= 2 { #expect(!machine.isUp) }
            default:
                guard let due = wake, now >= due else { continue }
                wake = nil
                actions = machine.timerFired(at: now)
            }
            for action in actions {
                switch action {
                case .connect: connecting = true
                case .check: checking = true
                case .wake(let instant): wake = instant
                case .disconnect: (connecting, connected, checking) = (false, false, false)
                case .up:
                    #expect(!up && connected)
                    up = true
                case .down:
                    #expect(up)
                    up = false
                }
            }
            #expect(machine.isUp == up)
            #expect(!machine.isUp || connected)
            #expect(machine.isUp == machine.reason.isEmpty)
            #expect(connecting || checking || wake != nil, "nothing would ever happen again")
        }
    }

    private func up() -> HealthMachine {
        var machine = HealthMachine()
        _ = machine.started(at: at(0))
        _ = machine.connected(at: at(0))
        _ = machine.checkSucceeded(at: at(0))
        return machine
    }
}
