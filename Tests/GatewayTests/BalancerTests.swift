import Foundation
import GrootCore
import Testing

@testable import Gateway

struct BalancerTests {
    @Test
    func tiesGoRound() {
        var balancer = Balancer(workers: 3)
        var seen = [0, 0, 0]
        for _ in 0..<30 { seen[balancer.pick(from: [0, 1, 2], at: at(0)) ?? 0] += 1 }
        #expect(seen == [10, 10, 10])
    }

    @Test
    func inFlightCounts() {
        var balancer = Balancer(workers: 2)
        _ = balancer.dispatched(to: 0)
        #expect(balancer.pick(from: [0, 1], at: at(0)) == 1)
        #expect(balancer.pick(from: [0], at: at(0)) == 0)
        #expect(balancer.pick(from: [], at: at(0)) == nil)
    }

    @Test
    func aSlowAnswerCountsAtOnceAndFastOnesSlowly() throws {
        var balancer = Balancer(workers: 1)
        answer(&balancer, 0, .milliseconds(10), at: at(0))
        answer(&balancer, 0, .milliseconds(100), at: at(10))
        #expect(try #require(balancer.serviceTime(of: 0, at: at(10))) == 0.1)
        answer(&balancer, 0, .milliseconds(10), at: at(20))
        #expect(try #require(balancer.serviceTime(of: 0, at: at(20))) > 0.098)
        answer(&balancer, 0, .milliseconds(10), at: at(8020))
        #expect(try #require(balancer.serviceTime(of: 0, at: at(8020))) < 0.02)
    }

    @Test
    func aFastFailureIsNoRecommendation() {
        var balancer = Balancer(workers: 2)
        for worker in 0..<2 { answer(&balancer, worker, .milliseconds(10), at: at(0)) }
        let ticket = balancer.dispatched(to: 0)
        balancer.finished(ticket, .failed, at: at(10))
        for millisecond in stride(from: 11, to: 4900, by: 97) {
            #expect(balancer.pick(from: [0, 1], at: at(millisecond)) == 1)
        }
        answer(&balancer, 1, .milliseconds(30), at: at(5000))
        #expect(balancer.pick(from: [0, 1], at: at(5100)) == 0, "the penalty is over after five seconds")
    }

    @Test
    func abandonedRequestsOnlyBringBadNews() throws {
        var balancer = Balancer(workers: 1)
        answer(&balancer, 0, .milliseconds(50), at: at(0))
        balancer.finished(balancer.dispatched(to: 0), .abandoned(after: .milliseconds(1)), at: at(1))
        #expect(try #require(balancer.serviceTime(of: 0, at: at(1))) > 0.049)
        balancer.finished(balancer.dispatched(to: 0), .abandoned(after: .seconds(1)), at: at(2))
        #expect(try #require(balancer.serviceTime(of: 0, at: at(2))) == 1)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func unequalWorkersGetUnequalShares(seed: UInt64) {
        // Two serial workers, 8 and 24 ms, Poisson 100/s: 60 % of what they can do.
        var random = SplitMix(state: seed)
        var balancer = Balancer(workers: 2)
        let service: [Int64] = [8_000_000, 24_000_000]
        var freeAt: [Int64] = [0, 0]
        var running: [(end: Int64, start: Int64, ticket: Balancer.Ticket)] = []
        var now: Int64 = 0
        var counts = [0, 0]
        var waits: [Double] = []
        for _ in 0..<20_000 {
            now += Int64(-0.01 * log(1 - random.unit()) * 1e9)
            for done in running.filter({ $0.end <= now }).sorted(by: { $0.end < $1.end }) {
                balancer.finished(
                    done.ticket,
                    .answered(after: .nanoseconds(done.end - done.start)),
                    at: MonotonicInstant(nanoseconds: done.end)
                )
            }
            running.removeAll { $0.end <= now }
            let worker = balancer.pick(from: [0, 1], at: MonotonicInstant(nanoseconds: now)) ?? 0
            counts[worker] += 1
            freeAt[worker] = max(now, freeAt[worker]) + service[worker]
            running.append((freeAt[worker], now, balancer.dispatched(to: worker)))
            waits.append(Double(freeAt[worker] - now) / 1e6)
        }
        waits.sort()
        let share = Double(counts[0]) / 20_000
        let p99 = waits[19_800]
        #expect((0.85...0.97).contains(share), "share of the fast worker \(share)")
        #expect(p99 < 60, "p99 \(p99) ms; least request has 70")
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomSequencesKeepTheBooks(seed: UInt64) {
        var random = SplitMix(state: seed)
        var balancer = Balancer(workers: 4)
        var open: [Balancer.Ticket] = []
        var model = [0, 0, 0, 0]
        var now = at(0)
        for _ in 0..<2_000 {
            now = now + .microseconds(Int64(random.next() % 5_000))
            if random.next() % 2 == 0 || open.isEmpty {
                let candidates = (0..<4).filter { _ in random.next() % 3 != 0 }
                guard let worker = balancer.pick(from: candidates, at: now) else {
                    #expect(candidates.isEmpty)
                    continue
                }
                #expect(candidates.contains(worker))
                let best = candidates.map { balancer.expectedDelay(of: $0, at: now) }.min()
                #expect(balancer.expectedDelay(of: worker, at: now) == best)
                open.append(balancer.dispatched(to: worker))
                model[worker] += 1
            } else {
                let ticket = open.remove(at: Int(random.next() % UInt64(open.count)))
                let time = Duration.microseconds(Int64(random.next() % 50_000))
                let outcomes: [Balancer.Outcome] = [.answered(after: time), .failed, .abandoned(after: time)]
                balancer.finished(ticket, outcomes[Int(random.next() % 3)], at: now)
                model[ticket.worker] -= 1
            }
            #expect((0..<4).map { balancer.inFlight($0) } == model)
            for worker in 0..<4 { #expect(balancer.expectedDelay(of: worker, at: now) > 0) }
        }
    }

    private func answer(_ balancer: inout Balancer, _ worker: Int, _ time: Duration, at now: MonotonicInstant) {
        let ticket = balancer.dispatched(to: worker)
        balancer.finished(ticket, .answered(after: time), at: now)
    }
}

/// Milliseconds on a clock of the test's own.
func at(_ milliseconds: Int) -> MonotonicInstant {
    MonotonicInstant(nanoseconds: Int64(milliseconds) * 1_000_000)
}

/// A small seeded generator, so that a failing sequence can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func unit() -> Double {
        Double(next() >> 11) / Double(1 << 53)
    }
}
