import GrootCore
import Testing

@testable import RobotAgent

struct RequestPlannerTests {
    private let now = MonotonicInstant(nanoseconds: 1)

    @Test func aLargerThresholdAsksEarlier() {
        var runways: [Duration] = []
        for threshold in [0.2, 0.5, 0.8] {
            let planner = RequestPlanner(mode: .async, threshold: threshold, chunkSize: 16)
            let first = (0...160).reversed().map { Duration.milliseconds(10 * $0) }
                .first { planner.decide(runway: $0, at: now) == .observe }
            runways.append(first ?? .zero)
        }
        #expect(runways == [.milliseconds(310), .milliseconds(790), .milliseconds(1270)])
    }

    @Test func waitsExactlyUntilTheThreshold() {
        let planner = RequestPlanner(mode: .async, threshold: 0.5, chunkSize: 16)
        #expect(planner.decide(runway: .milliseconds(1000), at: now) == .wait(.milliseconds(200)))
    }

    @Test func syncAsksWhenNothingIsLeft() {
        let planner = RequestPlanner(mode: .sync, threshold: 0.5, chunkSize: 16)
        #expect(planner.decide(runway: .milliseconds(10), at: now) == .wait(.milliseconds(10)))
        #expect(planner.decide(runway: .zero, at: now) == .observe)
        #expect(planner.decide(runway: .milliseconds(-500), at: now) == .observe)
    }

    @Test func pausesGrowToTheirLimitAndEnd() {
        var planner = RequestPlanner(mode: .async, threshold: 0.5, chunkSize: 16)
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
        planner.succeeded()
        #expect(planner.decide(runway: .zero, at: now) == .observe)
    }
}
