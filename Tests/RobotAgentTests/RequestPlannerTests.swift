import GrootCore
import Testing

@testable import RobotAgent

struct RequestPlannerTests {
    private let now = MonotonicInstant(nanoseconds: 1)

    @Test func aLargerThresholdAsksEarlier() {
        var runways: [Duration] = []
        for threshold in [0.2, 0.5, 0.8] {
            var planner = RequestPlanner(mode: .async, threshold: .fixed(threshold), chunk: .milliseconds(1600))
            var first = Duration.zero
            for tick in (0...160).reversed() where first == .zero {
                let runway = Duration.milliseconds(10 * tick)
                if planner.decide(runway: runway, at: now) == .observe { first = runway }
            }
            runways.append(first)
        }
        #expect(runways == [.milliseconds(310), .milliseconds(790), .milliseconds(1270)])
    }

    @Test func waitsExactlyUntilTheThreshold() {
        var planner = RequestPlanner(mode: .async, threshold: .fixed(0.5), chunk: .milliseconds(1600))
        #expect(planner.decide(runway: .milliseconds(1000), at: now) == .wait(.milliseconds(200)))
    }

    @Test func syncAsksWhenNothingIsLeft() {
        var planner = RequestPlanner(mode: .sync, threshold: .fixed(0.5), chunk: .milliseconds(1600))
        #expect(planner.decide(runway: .milliseconds(10), at: now) == .wait(.milliseconds(10)))
        #expect(planner.decide(runway: .zero, at: now) == .observe)
        #expect(planner.decide(runway: .milliseconds(-500), at: now) == .observe)
    }

    @Test func pausesGrowToTheirLimitAndEnd() {
        var planner = RequestPlanner(mode: .async, threshold: .fixed(0.5), chunk: .milliseconds(1600))
        var pauses: [Duration] = []
        for _ in 0..<8 {
            planner.failed(at: now, jitter: 1)
            guard case .wait(let pause) = planner.decide(runway: .zero, at: now) else {
                Issue.record("a failure must cost a pause")
                return
            }
            pauses.append(pause)
        }
        #expect(pauses.first == .milliseconds(20))
        #expect(pauses.last == .milliseconds(200))
        #expect(pauses == pauses.sorted())
        planner.succeeded(at: now)
        #expect(planner.decide(runway: .zero, at: now) == .observe)
    }

    @Test func theAdaptiveThresholdKeepsTheRunwayAboveItsMargin() {
        for (seed, base) in zip(UInt64(1)..., [50, 150, 400, 700]) {
            var random = SplitMix(state: seed)
            var planner = RequestPlanner(mode: .rtc, threshold: .auto, chunk: .milliseconds(1600))
            #expect(planner.slack == .milliseconds(800), "half a chunk until something was measured")
            var now = now
            var short = 0
            for request in 0..<300 {
                // A robot's runway falls until the planner asks; the answer takes the latency.
                let slack = planner.slack
                #expect(planner.decide(runway: slack - .milliseconds(1), at: now) == .observe)
                let latency = Duration.milliseconds(base + Int.random(in: 0...base / 2, using: &random))
                now = now + latency
                planner.succeeded(at: now)
                if request >= 20, slack - latency < RequestPlanner.Auto.margin { short += 1 }
            }
            let share = Double(short) / 280
            #expect(share <= 0.12, "\(base) ms: \(share) arrived with less than the margin")
        }
    }

    @Test func aHintToWaitIsHonouredAsFarAsTheRunwayAllows() {
        var planner = RequestPlanner(mode: .async, threshold: .fixed(1), chunk: .milliseconds(1600))
        _ = planner.decide(runway: .zero, at: now)
        planner.succeeded(at: now + .milliseconds(100))
        planner.askedToWait(.milliseconds(300), runway: .milliseconds(1500), at: now)
        #expect(planner.decide(runway: .milliseconds(1500), at: now) == .wait(.milliseconds(300)))
        planner = RequestPlanner(mode: .async, threshold: .fixed(1), chunk: .milliseconds(1600))
        _ = planner.decide(runway: .zero, at: now)
        planner.succeeded(at: now + .milliseconds(100))
        planner.askedToWait(.milliseconds(300), runway: .milliseconds(250), at: now)
        #expect(planner.decide(runway: .milliseconds(250), at: now) == .observe, "it would stand still otherwise")
    }
}
