import Testing

@testable import RobotAgent

/// The two golden vectors come from the rule that every original script shares (10 Hz rows, 100 Hz samples).
struct ResamplerTests {
    private let arm: [Float] = [0, 0.1, 0.3, 0.2]
    private let claw: [Float] = [0, 50, 50, 0]

    @Test func withoutBridge() {
        let resampler = Resampler(rows: 4, ticksPerRow: 10, hasBridge: false)
        let arms = resampler.samples(arm, bridge: nil, held: false)
        #expect(arms.count == 31)
        let expected: [(Int, Float)] = [(0, 0), (5, 0.05), (10, 0.1), (15, 0.2), (20, 0.3), (25, 0.25), (30, 0.2)]
        for (index, value) in expected { #expect(abs(arms[index] - value) < 1e-6, "sample \(index)") }
        let claws = resampler.samples(claw, bridge: nil, held: true)
        #expect(claws == Array(repeating: 0, count: 10) + Array(repeating: 50, count: 20) + [0])
    }

    @Test func withBridge() {
        let resampler = Resampler(rows: 4, ticksPerRow: 10, hasBridge: true)
        let arms = resampler.samples(arm, bridge: -0.1, held: false)
        #expect(arms.count == 40)
        let expected: [(Int, Float)] = [
            (0, -0.09), (4, -0.05), (9, 0), (14, 0.05), (19, 0.1), (29, 0.3), (39, 0.2),
        ]
        for (index, value) in expected { #expect(abs(arms[index] - value) < 1e-6, "sample \(index)") }
        let claws = resampler.samples(claw, bridge: 80, held: true)
        let first = [Float](repeating: 80, count: 10) + [Float](repeating: 0, count: 10)
        #expect(claws == first + Array(repeating: 50, count: 19) + [0])
    }

    @Test(arguments: [(16, false, 151), (16, true, 160), (20, false, 191), (20, true, 200)])
    func lengths(rows: Int, hasBridge: Bool, count: Int) {
        #expect(Resampler(rows: rows, ticksPerRow: 10, hasBridge: hasBridge).count == count)
    }
}
