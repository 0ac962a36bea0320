import Foundation
import GrootCore
import GrootTesting
import HTTP2
import Testing

/// The limiters as machines, with time as a parameter.
@Suite
struct LimitTests {
    private func at(_ seconds: Double) -> MonotonicInstant { MonotonicInstant(nanoseconds: Int64(seconds * 1e9)) }

    @Test(arguments: FloodMonitor.Kind.allCases)
    func eachKindHasABucketOfItsOwn(_ kind: FloodMonitor.Kind) {
        var limits = HTTP2Limits()
        for path in [
            \HTTP2Limits.resets, \.settings, \.pings, \.priorities, \.windowUpdates, \.emptyFrames, \.unknownFrames,
        ] { limits[keyPath: path] = .init(burst: 10, perSecond: 2) }
        var monitor = FloodMonitor(limits)
        for _ in 0..<10 { check(monitor.observed(kind, at: at(0))) }
        let eleventh = monitor.observed(kind, at: at(0))
        #expect(!eleventh)
        for other in FloodMonitor.Kind.allCases where other != kind { check(monitor.observed(other, at: at(0))) }
        check(monitor.observed(kind, at: at(1)), "two tokens came back")
        let tooSoon = monitor.observed(kind, at: at(1))
        #expect(!tooSoon)
    }

    @Test
    func aRobotThatCancelsThirtyTimesASecondIsHonest() {
        var monitor = FloodMonitor(HTTP2Limits())
        for tick in 0..<30 * 600 { check(monitor.observed(.reset, at: at(Double(tick) / 30))) }
    }

    @Test
    func dataEntitlesToWindowUpdates() {
        var monitor = FloodMonitor(HTTP2Limits())
        for _ in 0..<100_000 {
            monitor.sentData()
            for _ in 0..<2 { check(monitor.observed(.windowUpdate, at: at(0))) }
        }
    }

    @Test
    func pingsMayMeasureATransferButNotAQuietConnection() {
        var policy = PingPolicy(interval: .seconds(10), strikesAllowed: 2)
        for tick in 0..<100 {
            check(policy.pinged(at: at(Double(tick) / 100)))
            policy.sent()
        }
        for tick in 0..<10 { check(policy.pinged(at: at(10 + 10 * Double(tick)))) }
        check(policy.pinged(at: at(101)))
        check(policy.pinged(at: at(102)))
        let third = policy.pinged(at: at(103))
        #expect(!third)
        var off = PingPolicy(interval: .zero, strikesAllowed: 0)
        for _ in 0..<100 { check(off.pinged(at: at(0))) }
    }

    @Test
    func standingStillIsMeasuredFromTheLastStep() {
        var watch = StallWatch()
        check(watch.standing(progress: 5, waiting: true, at: at(1)) == .zero)
        check(watch.standing(progress: 5, waiting: true, at: at(3)) == .seconds(2))
        check(watch.standing(progress: 6, waiting: true, at: at(4)) == .zero)
        check(watch.standing(progress: 6, waiting: false, at: at(9)) == .zero, "nothing to move")
        check(watch.standing(progress: 6, waiting: true, at: at(10)) == .zero)
        check(watch.standing(progress: 6, waiting: true, at: at(11)) == .seconds(1))
    }

    @Test
    func keysReachEveryLimitAndRefuseNonsense() {
        #expect(Set(HTTP2LimitKey.all.map(\.name)).count == HTTP2LimitKey.all.count)
        for key in HTTP2LimitKey.all {
            var limits = HTTP2Limits()
            let value = key.bounds.lowerBound + 1
            #expect(HTTP2LimitKey.set(key.name, to: "\(value)", in: &limits) == nil)
            #expect(key.read(limits) == value, "\(key.name)")
            #expect(HTTP2LimitKey.set(key.name, to: "\(key.bounds.upperBound * 2 + 1)", in: &limits) != nil)
            #expect(HTTP2LimitKey.set(key.name, to: "many", in: &limits)?.contains(key.name) == true)
            #expect(key.bounds.contains(key.read(HTTP2Limits())), "\(key.name): the default is within bounds")
        }
        var limits = HTTP2Limits()
        #expect(HTTP2LimitKey.set("nonsense", to: "1", in: &limits)?.contains("no limit is called") == true)
    }

    @Test(arguments: ["docs/limits.md", "docs/limits.zh-CN.md"])
    func theDocumentationNamesEveryLimitWithItsDefault(_ page: String) throws {
        let text = try String(contentsOf: RepositoryRoot.url.appending(path: page), encoding: .utf8)
        // The gateway's own default; the library's is zero, never.
        for key in HTTP2LimitKey.all where key.name != "max-connection-age" {
            #expect(text.contains("| `\(key.name)` | \(key.defaultText) |"), "\(key.name) = \(key.defaultText)")
        }
        for limit in HTTP2Limit.allCases { #expect(text.contains(limit.rawValue), "\(limit.rawValue)") }
    }

    /// `#expect` evaluates its parts as constants; machines change.
    private func check(_ holds: Bool, _ comment: Comment? = nil, at location: SourceLocation = #_sourceLocation) {
        #expect(holds, comment, sourceLocation: location)
    }
}
