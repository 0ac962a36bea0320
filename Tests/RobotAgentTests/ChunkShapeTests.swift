import GrootCore
import Testing

@testable import RobotAgent

struct ChunkShapeTests {
    private func chunk(_ rows: [[Float]]) throws -> ActionChunk {
        try #require(
            ActionChunk(
                names: ["a", "b", "claw"],
                rows: rows.count,
                values: rows.flatMap { $0 },
                period: .milliseconds(100)
            )
        )
    }

    @Test func startAndEndAreInclusive() throws {
        let whole = try chunk((0..<16).map { [Float($0), 0, 0] })
        var shape = ChunkShape()
        #expect(shape.selected(whole) == whole)
        #expect(shape.rows(of: 16) == 16)
        shape.start = 1
        shape.end = 7
        let part = try #require(shape.selected(whole))
        #expect(part.rows == 7 && part[0, 0] == 1 && part[6, 0] == 7)
        #expect(shape.rows(of: 16) == 8)
        shape.end = 40
        #expect(shape.selected(whole)?.rows == 15)
        shape.start = 16
        #expect(shape.selected(whole) == nil)
    }

    @Test func aFastSegmentIsGivenMoreTime() throws {
        var shape = ChunkShape()
        shape.maximumVelocity = 1
        // 0.25 rad at 1 rad/s need three rows of 0.1 s, 0.1 rad needs one.
        let paced = shape.paced(try chunk([[0.25, 0, 0], [0.35, 0, 80]]), from: [0, 0, 0], arms: 0..<2)
        #expect(paced.rows == 4)
        #expect((0..<4).map { paced[$0, 2] } == [0, 0, 0, 80], "claws change where they did")
        #expect(abs(paced[0, 0] - 0.25 / 3) < 1e-6)
        #expect(paced[2, 0] == 0.25)
        #expect(abs(paced[3, 0] - 0.35) < 1e-6)
    }

    @Test(arguments: UInt64(1)...50)
    func pacedChunksNeverExceedTheLimit(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var shape = ChunkShape()
        let limit = Float.random(in: 0.3...3, using: &random)
        shape.maximumVelocity = limit
        shape.stride = [1, 2, 5].randomElement(using: &random) ?? 1
        let rows = (0..<8).map { _ in [Float.random(in: -0.3...0.3, using: &random), 0.1, 0] }
        let paced = shape.paced(try chunk(rows), from: [0, 0, 0], arms: 0..<2)
        var previous: [Float] = [0, 0]
        for row in 0..<paced.rows {
            for joint in 0..<2 {
                let speed = abs(paced[row, joint] - previous[joint]) / (0.1 / Float(shape.stride))
                #expect(speed <= limit * 1.001, "seed \(seed)")
                previous[joint] = paced[row, joint]
            }
        }
        #expect(paced.rows <= 8 * ChunkShape.longestStretch)
    }

    @Test func theLatchNeedsARunAndKeeps() {
        var latch = ClawLatch(.init(), claws: 2)
        for command: Float in [60, 60, 60, 60, 10] { #expect(latch.commanded(command, claw: 0) == command) }
        for _ in 0..<4 { #expect(latch.commanded(80, claw: 0) == 80) }
        #expect(latch.commanded(80, claw: 0) == 90)
        #expect(latch.commanded(0, claw: 0) == 90, "a held box is not dropped")
        #expect(latch.commanded(0, claw: 1) == 0, "each hand for itself")
        latch.reset()
        #expect(latch.commanded(0, claw: 0) == 0)
    }
}
