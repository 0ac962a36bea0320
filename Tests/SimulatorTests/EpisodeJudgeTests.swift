import GrootCore
import Testing

@testable import Simulator

/// The outcome thresholds, one situation each.
@Suite struct EpisodeJudgeTests {
    private static let start = [
        SIMD3(0.405, 0.15, 1.05), SIMD3(0.405, -0.15, 1.05), SIMD3(0.425, 0.15, 0.87), SIMD3(0.425, -0.15, 0.87),
    ]

    private static func observation(
        _ time: Double,
        placing target: Int? = nil,
        at place: SIMD3<Double> = SIMD3(0.205, 0, 0.81),
        joints: [Double] = HomePosture.joints,
        change: (inout [CartonState]) -> Void = { _ in }
    ) -> EpisodeJudge.Observation {
        var cartons = start.map { CartonState(position: $0, yaw: 0) }
        if let target { cartons[target].position = place }
        change(&cartons)
        return .init(
            time: time,
            cartons: cartons,
            palms: [SIMD3(0.2, 0.24, 0.98), SIMD3(0.2, -0.24, 0.98)],
            joints: joints
        )
    }

    private static func verdict(
        target: Int?,
        checks: Int,
        _ make: (Double) -> EpisodeJudge.Observation
    ) -> EpisodeJudge.Verdict? {
        var judge = EpisodeJudge(target: target, start: start)
        var verdict: EpisodeJudge.Verdict?
        for check in 1...checks { verdict = judge.observed(make(Double(check) / 10)) }
        return verdict
    }

    @Test func successNeedsFiveChecksInARow() {
        #expect(Self.verdict(target: 0, checks: 4) { Self.observation($0, placing: 0) } == nil)
        let verdict = Self.verdict(target: 0, checks: 5) { Self.observation($0, placing: 0) }
        #expect(verdict?.outcome == .success)
        #expect(verdict?.time == 0.5)
    }

    @Test func anInterruptionStartsTheCountAgain() {
        var judge = EpisodeJudge(target: 0, start: Self.start)
        for check in 1...9 {
            let moving = check == 5
            let verdict = judge.observed(
                Self.observation(Double(check) / 10, placing: 0) { if moving { $0[0].linearVelocity.x = 0.05 } }
            )
            #expect(verdict == nil)
        }
        #expect(judge.observed(Self.observation(1.0, placing: 0))?.outcome == .success)
    }

    @Test func aHeldCartonIsNotPlaced() {
        let verdict = Self.verdict(target: 0, checks: 20) { time in
            var observation = Self.observation(time, placing: 0)
            observation.palms[0] = SIMD3(0.205, 0.08, 0.81)
            return observation
        }
        #expect(verdict == nil)
    }

    @Test(arguments: [SIMD3(0.28, 0, 0.81), SIMD3(0.205, 0.09, 0.81), SIMD3(0.205, 0, 0.83)])
    func outsideTheZoneIsNoSuccess(place: SIMD3<Double>) {
        #expect(Self.verdict(target: 0, checks: 20) { Self.observation($0, placing: 0, at: place) } == nil)
    }

    @Test func aPushedNeighbourPreventsSuccess() {
        let verdict = Self.verdict(target: 0, checks: 20) {
            Self.observation($0, placing: 0) { $0[1].position.x += 0.06 }
        }
        #expect(verdict == nil)
    }

    @Test func takingTheOtherBoxIsWrong() {
        let verdict = Self.verdict(target: 0, checks: 1) { Self.observation($0, placing: 1) }
        #expect(verdict?.outcome == .wrongBox)
    }

    @Test func aFallenCartonIsDropped() {
        let fallen = Self.verdict(target: 0, checks: 1) { Self.observation($0) { $0[0].position.z = 0.3 } }
        #expect(fallen?.outcome == .dropped)
        let tipped = Self.verdict(target: 0, checks: 1) { Self.observation($0) { $0[1].upCosine = 0.1 } }
        #expect(tipped?.outcome == .dropped)
    }

    @Test func timePassesWithoutAResult() {
        #expect(Self.verdict(target: 0, checks: 299) { Self.observation($0) } == nil)
        #expect(Self.verdict(target: 0, checks: 300) { Self.observation($0) }?.outcome == .timeout)
    }

    @Test func stayingHomeRefusesATaskThatNamesNothing() {
        let verdict = Self.verdict(target: nil, checks: 81) { Self.observation($0) }
        #expect(verdict?.outcome == .refused)
        #expect(Self.verdict(target: 0, checks: 81) { Self.observation($0) } == nil)
    }

    @Test func reachingOutIsNoRefusal() {
        var away = HomePosture.joints
        away[0] += 0.5
        let verdict = Self.verdict(target: nil, checks: 200) { Self.observation($0, joints: away) }
        #expect(verdict == nil)
    }

    @Test func takingABoxInsteadOfRefusingIsWrong() {
        #expect(Self.verdict(target: nil, checks: 1) { Self.observation($0, placing: 0) }?.outcome == .wrongBox)
    }

    @Test func theFirstVerdictStays() {
        var judge = EpisodeJudge(target: 0, start: Self.start)
        _ = judge.observed(Self.observation(0.1, placing: 1))
        #expect(judge.observed(Self.observation(0.2))?.outcome == .wrongBox)
    }
}
