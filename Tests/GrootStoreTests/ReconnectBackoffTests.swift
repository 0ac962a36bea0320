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
    @Test func lossIsNewsOnceAndStopsNothing() {
        var readiness = Readiness()
        #expect(readiness.refusal == "starting")
        readiness.prepared()
        #expect(readiness.reason == nil)
        expect(readiness.lost("gone"), is: true)
        expect(readiness.lost("still gone"), is: false)
        #expect(readiness.reason == "still gone")
        // The connection decides, so that recovery needs no probe.
        #expect(readiness.refusal == nil)
        expect(readiness.answered(), is: true)
        expect(readiness.answered(), is: false)
        readiness.stopped("over")
        #expect(readiness.refusal == "over")
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
