import GrootCore
import Testing

@testable import RobotAgent

struct ResamplerTests {
    private let arm: [Float] = [0, 0.1, 0.3, 0.2]
    private let claw: [Float] = [0, 50, 50, 0]

    private func grid(rowsPerSecond: Int = 10, hertz: Int = 100, stride: Int = 1) -> RowGrid {
        let period = Duration.nanoseconds(Int64((1e9 / Double(rowsPerSecond)).rounded()))
        return RowGrid(period: period, rate: ControlRate(hertz: hertz), stride: stride)
    }

    @Test func theArmFollowsItsCurve() {
        let arms = Resampler(rows: 4, grid: grid()).samples(arm, bridge: -0.1, held: false)
        #expect(arms.count == 40)
        // At a row a sixth of the second difference beside it: 0.1 + 0.1 / 6, 0.3 - 0.3 / 6; the last exactly.
        let expected: [(Int, Float)] = [(0, -0.09), (4, -0.05), (9, 0), (19, 0.7 / 6), (29, 0.25), (39, 0.2)]
        for (index, value) in expected { #expect(abs(arms[index] - value) < 1e-6, "sample \(index)") }
    }

    /// The golden vector of the rule that every original script shares (10 Hz rows, 100 Hz samples).
    @Test func theClawIsHeldAsTheScriptsDoIt() {
        let claws = Resampler(rows: 4, grid: grid()).samples(claw, bridge: 80, held: true)
        let first = [Float](repeating: 80, count: 10) + [Float](repeating: 0, count: 10)
        #expect(claws == first + Array(repeating: 50, count: 19) + [0])
    }

    /// Until half of its rest before the last row nothing changes; from there it goes on slower and slower, to the last row.
    @Test(arguments: [2, 10, 30, 80], [10, 30, 100])
    func theEndComesToRest(restTicks: Int, rowsPerSecond: Int) {
        let grid = grid(rowsPerSecond: rowsPerSecond)
        let rows = rowsPerSecond
        let line = (1...rows).map { Float($0) / Float(rows) }
        let sharp = Resampler(rows: rows, grid: grid)
        let gentle = Resampler(rows: rows, grid: grid, restTicks: restTicks)
        #expect(gentle.count == sharp.count + restTicks / 2)
        let path = gentle.samples(line, bridge: 0, held: false)
        let steps = zip([0] + path, path).map { $1 - $0 }
        let begin = sharp.count - restTicks / 2
        for (index, step) in steps.enumerated() {
            let left = index < begin ? 1 : (Float(gentle.count - index) - 0.5) / Float(restTicks)
            #expect(abs(step - 0.01 * left) < 2e-5, "sample \(index)")
        }
        #expect(abs((path.last ?? 0) - 1) < 1e-5)
        let held = (0..<sharp.count).map(gentle.heldSource)
        #expect(held == (0..<sharp.count).map(sharp.heldSource), "claws do not wait for the arms to rest")
        #expect((sharp.count..<gentle.count).allSatisfy { gentle.heldSource(of: $0) == rows })
    }

    @Test func oneRowIsAStraightLine() {
        let arms = Resampler(rows: 1, grid: grid()).samples([1], bridge: 0, held: false)
        #expect(zip(arms, 1...10).allSatisfy { abs($0 - Float($1) / 10) < 1e-6 })
    }

    /// Whatever the two rates: a target that says at which instant it is due is executed at that instant.
    @Test(
        arguments: [1, 2, 3, 7, 10, 15, 20, 24, 25, 30, 33, 48, 50, 60, 64, 75, 90, 99, 100],
        [50, 100, 125, 200, 500]
    )
    func everyRateIsExactlyTimed(rowsPerSecond: Int, hertz: Int) {
        for (rows, stride) in [(1, 1), (2, 1), (16, 1), (50, 1), (16, 2), (16, 3)] {
            let grid = grid(rowsPerSecond: rowsPerSecond, hertz: hertz, stride: stride)
            let resampler = Resampler(rows: rows, grid: grid)
            let tick = 1 / Float(hertz)
            let row = 1 / Float(rowsPerSecond * stride)
            let due = (1...rows).map { Float($0) * row }
            let samples = resampler.samples(due, bridge: 0, held: false)
            #expect(samples.count == grid.ticks(of: rows))
            for (index, sample) in samples.enumerated() {
                let instant = min(Float(index + 1) * tick, due[rows - 1])
                #expect(abs(sample - instant) < 1e-4 * max(1, instant), "sample \(index) of \(rows) rows")
            }
            // The last row is reached as exactly as there are ticks, and never passed by more than a rounded period.
            let end = Float(samples.count) * tick
            #expect(due[rows - 1] - end < tick && end - due[rows - 1] <= max(tick * 0.011, tick - row), "\(rows) rows")
            let held = (0..<samples.count).map(resampler.heldSource)
            #expect(zip(held, held.dropFirst()).allSatisfy { $0 <= $1 } && held.last == rows, "claws never go back")
            #expect((0..<rows).allSatisfy { abs(Float(grid.tick(ofRow: $0)) * tick - due[$0]) <= tick / 2 + 1e-4 })
        }
    }

    /// Rows as a policy gives them, a wandering motion with noise: the curve stays within the rows' range and near each row,
    /// and asks for no more acceleration than the rows do.
    @Test(arguments: UInt64(1)...100)
    func theCurveIsGentle(seed: UInt64) {
        var random = SplitMix(state: seed &* 31)
        let rowsPerSecond = [5, 10, 20, 30, 50].randomElement(using: &random) ?? 10
        let grid = grid(rowsPerSecond: rowsPerSecond)
        let bridge = Float.random(in: -1...1, using: &random)
        var velocity: Float = 0
        var position = bridge
        let rows = (0..<16).map { _ in
            velocity = min(max(velocity + Float.random(in: -0.5...0.5, using: &random), -2), 2)
            position += velocity / Float(rowsPerSecond)
            return position + Float.random(in: -0.004...0.004, using: &random)
        }
        let samples = Resampler(rows: 16, grid: grid).samples(rows, bridge: bridge, held: false)
        let points = [bridge] + rows
        let (low, high) = (points.min() ?? 0, points.max() ?? 0)
        #expect(samples.allSatisfy { $0 >= low - 1e-5 && $0 <= high + 1e-5 }, "seed \(seed)")
        let bends: [Float] = (1..<points.count - 1).map { (index: Int) -> Float in
            points[index + 1] - 2 * points[index] + points[index - 1]
        }
        let bend = bends.map(abs).max() ?? 0
        let speed = zip(points, points.dropFirst()).map { abs($1 - $0) }.max() ?? 0
        for row in 0..<16 {
            let sample = Int(grid.tick(ofRow: row)) - 1
            guard samples.indices.contains(sample) else { continue }
            // A row between two ticks is passed half a tick away at most.
            let away = abs(samples[sample] - rows[row])
            #expect(away <= bend / 6 + speed * Float(rowsPerSecond) * 0.0051 + 1e-5, "row \(row), seed \(seed)")
        }
        let allowed = bend * Float(rowsPerSecond * rowsPerSecond)
        let path = [bridge] + samples
        for index in 1..<path.count - 1 {
            let acceleration = abs(path[index + 1] - 2 * path[index] + path[index - 1]) * 10_000
            #expect(acceleration <= allowed + 0.05, "sample \(index), seed \(seed): \(acceleration) > \(allowed)")
        }
    }
}
