import Testing
import Worker

@Suite
struct SeededNormalTests {
    @Test
    func `seed 0 is no noise`() {
        #expect(SeededNormal.values(seed: 0, count: 5) == [0, 0, 0, 0, 0])
    }

    @Test
    func `a seed gives the same numbers again, another seed gives others`() {
        #expect(SeededNormal.values(seed: 7, count: 33) == SeededNormal.values(seed: 7, count: 33))
        #expect(SeededNormal.values(seed: 7, count: 33) != SeededNormal.values(seed: 8, count: 33))
        #expect(SeededNormal.values(seed: 7, count: 33).count == 33)
    }

    @Test
    func `mean, spread and tails are those of a standard normal`() {
        let values = SeededNormal.values(seed: 1, count: 20_000).map(Double.init)
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count)
        let outside = Double(values.count { abs($0) > 1.96 }) / Double(values.count)
        #expect(abs(mean) < 0.03)
        #expect(abs(variance - 1) < 0.05)
        #expect(abs(outside - 0.05) < 0.01)
    }
}
