import GrootCore
import HTTP2
import Testing

@testable import Gateway

/// The machine of a proxied request: what each event does in each state, and random sequences against a model.
struct RequestMachineTests {
    private static let ok = OutcomeTable.verdict(.status(0, pushback: nil))
    private static let lost = OutcomeTable.verdict(.connectionLost)
    private static let failed = OutcomeTable.verdict(.status(14, pushback: nil))
    private static let misplaced = OutcomeTable.verdict(.status(5, pushback: nil))
    private static let unavailable = GRPCStatus(.unavailable, "why")

    private func machine(
        hedges: Bool = false,
        dryAt: MonotonicInstant? = nil,
        selects: Bool = false,
        overdue: Duration = .milliseconds(200)
    ) -> RequestMachine {
        RequestMachine(
            rules: .init(hedges: hedges, overdue: overdue),
            dryAt: dryAt,
            selects: selects,
            deadline: at(60_000),
            at: at(0)
        )
    }

    private func ticket(_ worker: Int, number: UInt64 = 1, expected: Int = 10) -> Ticket {
        Ticket(
            number: number,
            worker: WorkerID(slot: worker, serial: UInt32(worker)),
            robot: "r1",
            incarnation: 1,
            group: 0,
            isWork: true,
            isExtra: false,
            batches: true,
            startedAt: at(0),
            expected: .milliseconds(expected)
        )
    }

    @Test
    func nobodyIsAskedBeforeTheBodyIsComplete() {
        var machine = machine()
        machine.bodyArrived(1000)
        #expect(machine.timePassed(at: at(1900), waitingFor: { "" }) == [])
        #expect(machine.bodyEnded() == [.uploaded, .schedule])
        let first = ticket(0)
        #expect(machine.dispatched(first, at: at(1)) == [.open(.init(number: 1, ticket: first))])
        #expect(machine.attemptEnded(1, Self.ok, Self.unavailable) == [.deliver(1)])
        #expect(machine.isEnded)
        #expect(machine.robotLeft() == [])
        #expect(machine.bodyEnded() == [])
    }

    @Test
    func anUploadHasADeadlineAndALeastRate() {
        var slow = machine()
        slow.bodyArrived(10_000)
        var actions = slow.timePassed(at: at(2000), waitingFor: { "" })
        #expect(actions.isEmpty, "10 kB in two seconds are enough")
        actions = slow.timePassed(at: at(5000), waitingFor: { "" })
        #expect(actions.first == .uploaded && slow.isEnded, "no more came: \(actions)")
        guard case .answer(let status, nil) = actions.last else {
            Issue.record("it is answered")
            return
        }
        #expect(status.code == .deadlineExceeded && status.message.contains("upload-rate"))
        var long = machine()
        for second in 1...29 {
            long.bodyArrived(5000)
            #expect(long.timePassed(at: at(second * 1000), waitingFor: { "" }) == [])
        }
        guard case .answer(let late, nil) = long.timePassed(at: at(30_000), waitingFor: { "" }).last else {
            Issue.record("it is answered")
            return
        }
        #expect(late.message.contains("upload-timeout-ms"))
    }

    @Test
    func aRequestThatLostAConnectionIsRepeatedOnceAndNeverThere() {
        var machine = machine()
        _ = machine.bodyEnded()
        let first = ticket(0)
        _ = machine.dispatched(first, at: at(1))
        #expect(machine.attemptEnded(1, Self.lost, Self.unavailable) == [.reschedule(unseen: false)])
        #expect(machine.record.tried == [.init(worker: first.worker, incarnation: nil)])
        let second = ticket(1, number: 2)
        #expect(machine.dispatched(second, at: at(2)) == [.open(.init(number: 2, ticket: second))])
        let actions = machine.attemptEnded(2, Self.lost, Self.unavailable)
        #expect(actions == [.answer(Self.unavailable, hint: nil)], "it may have killed two")
    }

    @Test
    func aFailureOfAnyKindIsRepeatedWithinTheLimit() {
        var machine = machine()
        _ = machine.bodyEnded()
        for number in 1...3 {
            _ = machine.dispatched(ticket(number, number: UInt64(number)), at: at(number))
            let actions = machine.attemptEnded(number, Self.failed, Self.unavailable)
            #expect(actions == (number < 3 ? [.reschedule(unseen: false)] : [.answer(Self.unavailable, hint: nil)]))
        }
    }

    @Test
    func aWordOfTheOnlyWorkerIsPassedOnAtOnceAndALostConnectionIsWaitedFor() {
        for (verdict, isHeld) in [(Self.failed, false), (Self.lost, true)] {
            var machine = machine()
            _ = machine.bodyEnded()
            _ = machine.dispatched(ticket(0), at: at(1))
            _ = machine.attemptEnded(1, verdict, Self.unavailable)
            let actions = machine.queued(hopeful: false, at: at(2))
            #expect(actions == (isHeld ? [] : [.withdraw, .answer(Self.unavailable, hint: nil)]))
        }
    }

    @Test
    func whoDisownsACheckpointThatAnotherServesIsContradicted() {
        var machine = machine(selects: true)
        _ = machine.bodyEnded()
        let wrong = ticket(0)
        _ = machine.dispatched(wrong, at: at(1))
        let notFound = GRPCStatus(.notFound, "none")
        #expect(machine.attemptEnded(1, Self.misplaced, notFound) == [.reschedule(unseen: true)])
        _ = machine.dispatched(ticket(1, number: 2), at: at(2))
        #expect(machine.attemptEnded(2, Self.ok, notFound) == [.deliver(2), .contradict(wrong)])
    }

    @Test
    func anOverdueAnswerIsAskedOfASecondWorkerAndTheFirstToAnswerWins() {
        var machine = machine()
        _ = machine.bodyEnded()
        _ = machine.dispatched(ticket(0), at: at(0))
        #expect(machine.wakeAt == at(200))
        #expect(machine.timePassed(at: at(200), waitingFor: { "" }) == [.askHedge])
        #expect(machine.hedgeDispatched(nil, at: at(200)) == [])
        #expect(machine.wakeAt == at(250), "again soon")
        #expect(machine.timePassed(at: at(250), waitingFor: { "" }) == [.askHedge])
        let second = ticket(1, number: 2)
        #expect(machine.hedgeDispatched(second, at: at(250)) == [.open(.init(number: 2, ticket: second))])
        #expect(machine.attemptEnded(2, Self.ok, Self.unavailable) == [.cancel(1, .overtaken), .deliver(2)])
    }

    private static let down = GRPCStatus(.unavailable, "w0 stopped answering health checks")

    /// Its worker is down and there is no other: the robot hears it after the hold limit, not at its deadline.
    @Test
    func aRequestOnALoneWorkerThatIsDownIsRefusedAfterTheHoldLimit() {
        var machine = machine()
        _ = machine.bodyEnded()
        _ = machine.dispatched(ticket(0), at: at(0))
        #expect(machine.workerWentDown(1, elsewhere: false, Self.down, at: at(1000)) == [])
        #expect(machine.wakeAt == at(3000))
        #expect(machine.timePassed(at: at(2999), waitingFor: { "" }) == [])
        #expect(machine.timePassed(at: at(3000), waitingFor: { "" }) == [.look])
        let actions = machine.looked(hopeful: false, otherwise: Self.unavailable, at: at(3000))
        #expect(actions == [.cancel(1, .failed), .answer(Self.unavailable, hint: nil)])
        #expect(machine.isEnded)
    }

    @Test
    func anAnswerOfAWorkerThatWasDownIsWelcome() {
        for isPassedOn in [false, true] {
            var machine = machine()
            _ = machine.bodyEnded()
            _ = machine.dispatched(ticket(0), at: at(0))
            _ = machine.workerWentDown(1, elsewhere: false, Self.down, at: at(1000))
            if isPassedOn {
                #expect(machine.answerBegan(1) == [.passOn(1)])
                #expect(machine.answerEnded(1) == [.finish])
            } else {
                #expect(machine.attemptEnded(1, Self.ok, Self.unavailable) == [.deliver(1)])
            }
        }
    }

    /// Somebody is there again: another worker may have it too, and its own may still answer.
    @Test
    func aForsakenRequestGoesOnWhenSomebodyIsThereAgain() {
        var machine = machine()
        _ = machine.bodyEnded()
        _ = machine.dispatched(ticket(0), at: at(0))
        _ = machine.workerWentDown(1, elsewhere: false, Self.down, at: at(1000))
        _ = machine.timePassed(at: at(3000), waitingFor: { "" })
        #expect(machine.looked(hopeful: true, otherwise: Self.unavailable, at: at(3000)) == [])
        #expect(machine.wakeAt == at(3000))
        #expect(machine.timePassed(at: at(3000), waitingFor: { "" }) == [.askHedge])
        let second = ticket(1, number: 2)
        #expect(machine.hedgeDispatched(second, at: at(3001)) == [.open(.init(number: 2, ticket: second))])
        #expect(machine.attemptEnded(2, Self.ok, Self.unavailable) == [.cancel(1, .overtaken), .deliver(2)])
    }

    @Test
    func ofTwoWorkersTheOneThatIsDownIsLeft() {
        for (down, up) in [(1, 2), (2, 1)] {
            var machine = machine()
            _ = machine.bodyEnded()
            _ = machine.dispatched(ticket(0), at: at(0))
            _ = machine.timePassed(at: at(200), waitingFor: { "" })
            _ = machine.hedgeDispatched(ticket(1, number: 2), at: at(200))
            #expect(machine.workerWentDown(down, elsewhere: false, Self.down, at: at(300)) == [.cancel(down, .failed)])
            #expect(machine.workerWentDown(up, elsewhere: false, Self.down, at: at(400)) == [])
            #expect(machine.wakeAt == at(2400))
            #expect(machine.attemptEnded(up, Self.ok, Self.unavailable) == [.deliver(up)])
        }
    }

    /// Random events against the books that a simple model keeps: every ticket is used or given back, nobody is answered
    /// twice, nothing happens after the end.
    @Test(arguments: 0..<400 as Range<UInt64>)
    func randomSequencesKeepTheBooks(seed: UInt64) {
        var random = SplitMix(state: seed)
        func chance(_ count: UInt64) -> Int { Int(random.next() % count) }
        var machine = machine(hedges: chance(2) == 0, dryAt: chance(2) == 0 ? at(300) : nil, selects: chance(2) == 0)
        var now = 0
        var nextTicket: UInt64 = 0
        var open: [Int: Ticket] = [:]
        var givenOut: Set<UInt64> = []
        var returned: Set<UInt64> = []
        var answers = 0
        var isAsking = false
        var isQueued = false
        var isHedging = false
        var uploads = 0
        var losses = 0
        var attemptsAfterLoss = 0
        func take(_ actions: [RequestMachine.Action]) {
            for action in actions {
                switch action {
                case .schedule, .reschedule:
                    #expect(!isAsking && !isQueued && open.isEmpty && answers == 0, "seed \(seed)")
                    isAsking = true
                case .askHedge: isHedging = true
                case .open(let attempt):
                    open[attempt.number] = attempt.ticket
                    if losses > 0 { attemptsAfterLoss += 1 }
                    #expect(open.count <= 2 && answers == 0, "seed \(seed)")
                case .giveBack(let ticket): #expect(returned.insert(ticket.number).inserted)
                case .contradict: break
                case .cancel(let number, _):
                    if let ticket = open.removeValue(forKey: number) { returned.insert(ticket.number) }
                case .withdraw:
                    #expect(isQueued || isAsking, "seed \(seed)")
                    isQueued = false
                case .look: #expect(isQueued || open.count == 1, "seed \(seed)")
                case .uploaded: uploads += 1
                case .passOn, .deliver, .answer: answers += 1
                case .finish, .cutOff: #expect(answers == 1, "seed \(seed)")
                case .reset: break
                }
            }
        }
        for _ in 0..<60 {
            now += chance(400)
            switch chance(14) {
            case 0, 1: machine.bodyArrived(chance(100_000))
            case 2, 3: take(machine.bodyEnded())
            case 4, 5, 6:
                guard isAsking || isQueued else { continue }
                let made = ticket(chance(4), number: nextTicket)
                if isAsking, chance(3) == 0 {
                    isAsking = false
                    isQueued = true
                    take(machine.queued(hopeful: chance(2) == 0, at: at(now)))
                    if machine.isEnded { isQueued = false }
                    continue
                }
                (isAsking, isQueued) = (false, false)
                nextTicket += 1
                givenOut.insert(made.number)
                take(machine.dispatched(made, at: at(now)))
            case 7, 8, 9:
                guard let number = open.keys.randomElement(using: &random) else { continue }
                let endings: [OutcomeTable.Ending] = [
                    .status(0, pushback: nil), .status(3, pushback: nil), .status(5, pushback: nil),
                    .status(14, pushback: nil), .connectionLost, .neverProcessed, .noStatus, .http(503),
                ]
                let ending = endings[chance(UInt64(endings.count))]
                if ending == .connectionLost { losses += 1 }
                if let ticket = open.removeValue(forKey: number) { returned.insert(ticket.number) }
                take(machine.attemptEnded(number, OutcomeTable.verdict(ending), Self.unavailable))
            case 10:
                guard let number = open.keys.randomElement(using: &random) else { continue }
                take(machine.workerWentDown(number, elsewhere: chance(2) == 0, Self.unavailable, at: at(now)))
            case 11: take(machine.timePassed(at: at(now), waitingFor: { "everybody" }))
            case 12:
                guard isHedging else { continue }
                isHedging = false
                let made = ticket(chance(4), number: nextTicket)
                nextTicket += 1
                givenOut.insert(made.number)
                take(machine.hedgeDispatched(made, at: at(now)))
            default:
                guard chance(6) == 0 else { continue }
                if chance(2) == 0 {
                    take(machine.looked(hopeful: chance(2) == 0, otherwise: Self.unavailable, at: at(now)))
                } else {
                    take(machine.robotLeft())
                }
                if machine.isEnded { (isAsking, isQueued) = (false, false) }
            }
            #expect(answers <= 1 && uploads <= 1, "seed \(seed)")
            #expect(attemptsAfterLoss <= 1, "seed \(seed): repeated once at most after a connection was lost")
            #expect(machine.record.count <= 3, "seed \(seed)")
            if machine.isEnded {
                #expect(open.isEmpty && givenOut == returned, "seed \(seed): every ticket came back")
                (isAsking, isQueued) = (false, false)
            } else {
                #expect(answers == 0, "seed \(seed)")
            }
        }
        take(machine.robotLeft())
        #expect(open.isEmpty && givenOut == returned, "seed \(seed)")
    }
}
