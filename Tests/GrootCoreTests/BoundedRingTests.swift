import GrootCore
import Testing

struct BoundedRingTests {
    /// Random pushes and pops against an array that drops its first element when it is full.
    @Test(arguments: 1...5)
    func behavesLikeAnArrayThatDropsItsOldest(capacity: Int) {
        var random = SystemRandomNumberGenerator()
        let ring = BoundedRing<Int>(capacity: capacity)
        var model: [Int] = []
        var dropped: UInt64 = 0
        for step in 0..<500 {
            if Bool.random(using: &random) {
                ring.push(step)
                model.append(step)
                if model.count > capacity {
                    model.removeFirst()
                    dropped += 1
                }
            } else {
                #expect(ring.pop() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(ring.count == model.count)
        }
        var rest: [Int] = []
        ring.drain(into: &rest)
        #expect(rest == model)
        #expect(ring.dropped == dropped)
    }
}

struct LatestValueTests {
    @Test
    func newestWinsAndUnreadOnesAreCounted() {
        let slot = LatestValue<Int>()
        #expect(slot.take() == nil)
        slot.store(1)
        slot.store(2)
        #expect(slot.overwritten == 1)
        #expect(slot.peek() == 2)
        #expect(slot.take() == 2)
        #expect(slot.take() == nil)
        slot.store(3)
        #expect(slot.overwritten == 1)
        #expect(slot.version == 3)
    }
}
