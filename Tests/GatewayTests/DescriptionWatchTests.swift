import GrootCore
import Testing

@testable import Gateway

/// When a worker is asked again what it serves.
struct DescriptionWatchTests {
    private func described(_ generation: String?) -> DescriptionWatch {
        var watch = DescriptionWatch()
        watch.connected()
        #expect(watch.said(generation, at: at(0)) == true, "a new connection")
        #expect(watch.asked(at: at(0)) == true)
        let isFirst = watch.answered()
        #expect(isFirst)
        return watch
    }

    @Test
    func aChangeIsAskedForOnce() {
        var watch = described("1")
        #expect(watch.said("1", at: at(500)) == false)
        #expect(watch.said("2", at: at(1000)) == true)
        #expect(watch.asked(at: at(1000)) == true)
        #expect(watch.asked(at: at(1001)) == false, "one question at a time")
        #expect(watch.said("3", at: at(1100)) == false, "while one is under way")
        let isFirst = watch.answered()
        #expect(!isFirst && watch.isDue(at: at(1500)), "it changed again meanwhile")
    }

    @Test
    func aWorkerThatCannotSayIsAskedFromTimeToTime() {
        let watch = described(nil)
        #expect(!watch.isDue(at: at(29_000)) && watch.isDue(at: at(30_000)))
    }

    @Test
    func whoDisownsACheckpointIsAskedButNotForEver() {
        var watch = described("1")
        #expect(watch.disowned(at: at(100)) == false)
        #expect(watch.isDue(at: at(200)), "not forgotten")
        var asked = 0
        for millisecond in 200..<1200 where watch.disowned(at: at(millisecond)) && watch.asked(at: at(millisecond)) {
            asked += 1
            _ = watch.answered()
        }
        #expect(asked == 5)
    }

    @Test
    func whatFailsIsAskedAgain() {
        var watch = described("1")
        _ = watch.said("2", at: at(1000))
        _ = watch.asked(at: at(1000))
        watch.failed()
        #expect(watch.said("2", at: at(1500)) == true)
    }

    /// The answer on its way may be older than what the worker just disowned: it is asked again.
    @Test(arguments: [false, true])
    func aCheckpointDisownedWhileItIsAskedIsAskedForAgain(wasKnown: Bool) {
        var watch = DescriptionWatch()
        var now = MonotonicInstant.now()
        watch.connected()
        if wasKnown {
            _ = watch.asked(at: now)
            _ = watch.answered()
            now = now.advanced(by: DescriptionWatch.interval)
        }
        _ = watch.asked(at: now)
        let isDueAtOnce = watch.disowned(at: now)
        #expect(!isDueAtOnce)
        _ = watch.answered()
        now = now.advanced(by: DescriptionWatch.pause)
        #expect(watch.isDue(at: now))
        _ = watch.asked(at: now)
        _ = watch.answered()
        #expect(!watch.isDue(at: now.advanced(by: DescriptionWatch.pause)))
    }
}
