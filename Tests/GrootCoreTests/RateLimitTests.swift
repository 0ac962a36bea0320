import GrootCore
import Testing

struct RateLimitTests {
    @Test
    func letsOneThroughPerIntervalAndCountsTheRest() {
        var limit = RateLimit(every: .seconds(1))
        let start = MonotonicInstant(nanoseconds: 5)
        #expect(limit.admit(at: start) == 0)
        #expect(limit.admit(at: start + .milliseconds(10)) == nil)
        #expect(limit.admit(at: start + .milliseconds(999)) == nil)
        #expect(limit.admit(at: start + .seconds(1)) == 2)
        #expect(limit.admit(at: start + .seconds(2)) == 0)
    }

    @Test
    func durationsKeepNanoseconds() {
        #expect(Duration.nanoseconds(1_234_567_890_123).nanoseconds == 1_234_567_890_123)
        #expect(Duration.seconds(-2).nanoseconds == -2_000_000_000)
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(MonotonicInstant(nanoseconds: 7) - MonotonicInstant(nanoseconds: 10) == .nanoseconds(-3))
    }

    @Test
    func theMonotonicClockDoesNotGoBack() {
        var last = MonotonicInstant.now()
        for _ in 0..<1000 {
            let now = MonotonicInstant.now()
            #expect(now >= last)
            last = now
        }
    }
}
