import GrootCore
import Testing

@testable import Gateway

struct SpareMachineTests {
    @Test
    func aWorkerThatNeverSaysGoAwayHasNoSpare() {
        var machine = SpareMachine()
        #expect(machine.cameUp(at: at(0)).isEmpty)
        #expect(machine.timerFired(at: at(1000)).isEmpty)
        #expect(!machine.isReady)
    }

    @Test
    func fromTheFirstGoAwayOnASpareIsReadyForTheNext() {
        var machine = SpareMachine()
        #expect(machine.wentAway(at: at(0)).isEmpty, "there was none yet")
        #expect(machine.cameUp(at: at(2)) == [.open])
        #expect(!machine.isReady)
        #expect(machine.checked(at: at(4)) == [.wake(at: at(600_000))])
        #expect(machine.isReady)
        #expect(machine.wentAway(at: at(50)) == [.open], "the one that took over has one behind it, too")
        #expect(!machine.isReady)
        #expect(machine.checked(at: at(52)) == [.wake(at: at(600_050))])
        #expect(machine.isReady)
    }

    @Test
    func withoutGoAwaysForLongTheSpareIsClosed() {
        var machine = ready()
        #expect(machine.timerFired(at: at(599_000)) == [.wake(at: at(600_000))])
        #expect(machine.timerFired(at: at(600_000)) == [.close])
        #expect(!machine.isReady)
        #expect(machine.cameUp(at: at(600_001)).isEmpty)
    }

    @Test
    func aLostSpareIsOpenedAgainLaterAndLater() {
        var machine = ready()
        var now = at(10)
        var waits: [Duration] = []
        for _ in 0..<9 {
            guard case .wake(let next)? = machine.lost(at: now).last else { return }
            waits.append(next - now)
            #expect(machine.timerFired(at: now) == [.wake(at: next)])
            now = next
            #expect(machine.timerFired(at: now) == [.open])
        }
        #expect(waits == [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000].map { .milliseconds($0) })
    }

    @Test
    func aWorkerThatIsDownHasNone() {
        var machine = ready()
        #expect(machine.wentDown() == [.close])
        #expect(machine.wentDown().isEmpty)
        #expect(!machine.isReady)
        #expect(machine.lost(at: at(20)).isEmpty, "what was closed is not lost")
        #expect(machine.checked(at: at(21)).isEmpty, "nor does it become ready")
        #expect(machine.cameUp(at: at(30)) == [.open])
    }

    /// Whatever happens in whatever order: one spare at most, and none is ready that was not opened and checked.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func underRandomEvents(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var machine = SpareMachine()
        var isOpen = false
        var wasChecked = false
        var now = at(0)
        for _ in 0..<300 {
            now = now + .milliseconds(Int64(random.next() % 20_000))
            let actions: [SpareMachine.Action]
            switch random.next() % 6 {
            case 0:
                if machine.isReady { (isOpen, wasChecked) = (false, false) }
                actions = machine.wentAway(at: now)
            case 1: actions = machine.cameUp(at: now)
            case 2:
                actions = machine.checked(at: now)
                wasChecked = wasChecked || isOpen
            case 3:
                (isOpen, wasChecked) = (false, false)
                actions = machine.lost(at: now)
            case 4: actions = machine.wentDown()
            default: actions = machine.timerFired(at: now)
            }
            for action in actions {
                switch action {
                case .open:
                    #expect(!isOpen, "a second spare, seed \(seed)")
                    (isOpen, wasChecked) = (true, false)
                case .close:
                    #expect(isOpen)
                    (isOpen, wasChecked) = (false, false)
                case .wake(let instant): #expect(instant >= now)
                }
            }
            #expect(!machine.isReady || (isOpen && wasChecked), "seed \(seed)")
        }
    }

    private func ready() -> SpareMachine {
        var machine = SpareMachine()
        _ = machine.wentAway(at: at(0))
        _ = machine.cameUp(at: at(1))
        _ = machine.checked(at: at(2))
        return machine
    }
}
