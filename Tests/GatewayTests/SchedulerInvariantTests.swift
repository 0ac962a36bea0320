import Foundation
import GrootCore
import Testing

@testable import Gateway

/// Random sequences of events: the books stay right.
struct SchedulerInvariantTests {
    /// Random events against the books that a simple model keeps.
    @Test(arguments: 0..<30 as Range<UInt64>)
    func randomSequencesKeepTheBooks(seed: UInt64) {
        var random = SplitMix(state: seed)
        var configuration = SchedulingConfiguration()
        configuration.policy = RoutingPolicy.allCases[Int(seed) % RoutingPolicy.allCases.count]
        configuration.waitingLimit = 12
        var bench = Bench(workers: 4, batch: seed % 2 == 0 ? 3 : nil, configuration)
        var open: [Ticket] = []
        var waiting: Set<UInt64> = []
        func take(_ given: [Assignment]) {
            for assignment in given {
                #expect(waiting.remove(assignment.request.number) != nil, "only who waits is given out")
                open.append(assignment.ticket)
            }
        }
        for _ in 0..<1500 {
            bench.now = bench.now + .microseconds(Int64(random.next() % 9_000))
            switch random.next() % 8 {
            case 0..<4:
                let id = bench.nextID
                switch bench.decide("r\(random.next() % 20)", dryIn: random.next() % 2 == 0 ? 100 : nil) {
                case .dispatch(let ticket): open.append(ticket)
                case .wait(let old, _):
                    if let old { #expect(waiting.remove(old.number) != nil) }
                    waiting.insert(id)
                case .shed: #expect(waiting.count == 12)
                case .giveUp, nil: Issue.record("not on arrival")
                }
            case 4, 5:
                guard !open.isEmpty else { continue }
                let ticket = open.remove(at: Int(random.next() % UInt64(open.count)))
                let outcomes: [AttemptOutcome] = [
                    .answered, .answered, .failed, .abandoned, .refused(retryAfter: nil), .neverSeen, .declined,
                    .misplaced,
                    .overtaken,
                ]
                let outcome = outcomes[Int(random.next() % 9)]
                take(bench.scheduler.finished(ticket, outcome, at: bench.now).assignments)
            case 6:
                let worker = bench.ids[Int(random.next() % 4)]
                if random.next() % 2 == 0 {
                    _ = bench.scheduler.lost(worker, byLoop: 0, at: bench.now)
                } else {
                    take(bench.scheduler.reached(worker, byLoop: 0, at: bench.now).assignments)
                }
            default:
                if let gone = waiting.randomElement(using: &random) {
                    #expect(bench.scheduler.isWaiting(RequestID(loop: 0, number: gone)))
                    _ = bench.scheduler.withdrew(RequestID(loop: 0, number: gone), at: bench.now)
                    waiting.remove(gone)
                }
                take(bench.scheduler.timePassed(at: bench.now).assignments)
            }
            #expect(bench.scheduler.books.active == open.count)
            #expect(Set(bench.scheduler.books.waiting.entries.map(\.id.number)) == waiting)
            for (index, id) in bench.ids.enumerated() {
                let mine = open.count { $0.worker == id }
                #expect(bench.scheduler.worker(id)?.inFlight == mine, "worker \(index)")
            }
            #expect(Set(bench.scheduler.books.waiting.entries.map(\.robot)).count == waiting.count, "one per robot")
        }
    }
}
