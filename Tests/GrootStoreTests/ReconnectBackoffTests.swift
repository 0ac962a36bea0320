import GrootCore
import Testing

@testable import GrootStore

struct ReconnectBackoffTests {
    @Test func waitDoublesUpToTheLimitAndSuccessForgets() {
        var backoff = ReconnectBackoff()
        var now = MonotonicInstant(nanoseconds: 0)
        #expect(backoff.wait(at: now) == nil)
        var waits: [Duration] = []
        for _ in 0..<7 {
            backoff.attemptFailed(at: now)
            let wait = backoff.wait(at: now) ?? .zero
            waits.append(wait)
            #expect(backoff.wait(at: now + (wait - .nanoseconds(1))) != nil)
            now = now + wait
            #expect(backoff.wait(at: now) == nil)
        }
        #expect(waits == [50, 100, 200, 400, 800, 1000, 1000].map { .milliseconds($0) })
        backoff.attemptSucceeded()
        backoff.attemptFailed(at: now)
        #expect(backoff.wait(at: now) == ReconnectBackoff.first)
    }
}

struct ReadinessTests {
    private func gone(_ message: String) -> StoreError { StoreError(.unavailable, message) }

    @Test func lossIsNewsOnceAndStopsNothing() {
        var readiness = Readiness()
        #expect(readiness.refusal == "starting" && readiness.fault == .starting)
        readiness.prepared()
        #expect(readiness.reason == nil && readiness.fault == nil)
        expect(readiness.lost(gone("gone")), is: true)
        expect(readiness.lost(gone("still gone")), is: false)
        #expect(readiness.reason == "still gone" && readiness.fault == .unreachable)
        // The connection decides, so that recovery needs no probe.
        #expect(readiness.refusal == nil)
        // What is wrong with it may change while it is away: a failover ends at a standby.
        expect(readiness.lost(StoreError(.readOnly, "a standby")), is: true)
        #expect(readiness.fault == .readOnly)
        expect(readiness.answered(), is: true)
        expect(readiness.answered(), is: false)
        readiness.stopped("over")
        #expect(readiness.refusal == "over" && readiness.fault == .stopped)
    }

    @Test func aStoreThatFailedMayBeRunAgain() {
        var readiness = Readiness()
        readiness.failed(StoreError(.toolsMissing, "install it"))
        #expect(readiness.isStopped && readiness.fault == .ownServer)
        readiness.started()
        #expect(!readiness.isStopped && readiness.refusal == "install it")
        readiness.prepared()
        #expect(readiness.refusal == nil && readiness.problem == nil)
    }

    @Test func everyErrorIsAFaultOfAKind() {
        let faults = Set(StoreError.Code.allCases.map { StoreError($0, "").fault })
        #expect(faults == Set(StoreFault.allCases).subtracting([.starting, .stopped]))
    }
}

struct ClusterLayoutTests {
    @Test func socketMovesWhenItsPathWouldBeTooLong() {
        let short = ClusterLayout(stateDirectory: "/srv/x")
        #expect(short.socketDirectory == "/srv/x/postgres/socket")
        let edge = ClusterLayout.socketPathLimit - "/postgres/socket/.s.PGSQL.5432".utf8.count - 1
        #expect(
            !ClusterLayout(stateDirectory: "/" + String(repeating: "d", count: edge)).socketDirectory.hasPrefix("/tmp")
        )
        let long = ClusterLayout(stateDirectory: "/" + String(repeating: "d", count: edge + 1))
        #expect(long.socketDirectory.hasPrefix("/tmp/groot-"))
        #expect(long == ClusterLayout(stateDirectory: "/" + String(repeating: "d", count: edge + 1)))
    }

    @Test func connectionTextQuotesTheDirectory() {
        #expect(ClusterLayout(stateDirectory: "/it's").conninfo().hasPrefix(#"host='/it\'s/postgres/socket' "#))
    }
}
