import GrootStore
import Testing

struct SequenceRangesTests {
    @Test func neighboursBecomeOneRange() throws {
        let ranges = try SequenceRanges([7, 1, 2, 9, 3, 8])
        #expect(ranges.ranges == [1...3, 7...9])
        #expect(ranges.multirange == "{[1,4),[7,10)}")
        #expect(try SequenceRanges(multirange: ranges.multirange) == ranges)
        #expect(try SequenceRanges(multirange: "{}").isEmpty)
        #expect(try SequenceRanges([]).multirange == "{}")
    }

    @Test func membershipAgreesWithASet() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let numbers = Set((0..<40).map { _ in Int64.random(in: 0...80, using: &random) })
            let ranges = try SequenceRanges(numbers.shuffled())
            for number in Int64(-1)...82 {
                #expect(ranges.contains(number) == numbers.contains(number))
                let window = number...(number + 3)
                #expect(ranges.intersects(window) == !numbers.isDisjoint(with: window))
            }
        }
    }

    @Test func unionAgreesWithASet() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let (one, two) = (0..<2).map { _ in Set((0..<30).map { _ in Int64.random(in: 0...60, using: &random) }) }
                .reduce(into: (Set<Int64>?.none, Set<Int64>())) { if $0.0 == nil { $0.0 = $1 } else { $0.1 = $1 } }
            let union = try SequenceRanges(Array(one ?? [])).union(try SequenceRanges(Array(two)))
            expect(union, is: try SequenceRanges(Array((one ?? []).union(two))))
        }
    }

    @Test func theOldestGapsAreClosedWhenThereAreTooMany() throws {
        let sparse = try SequenceRanges((0..<10).map { Int64($0 * 10) })
        #expect(sparse.closing(toFit: 10) == nil)
        // Half of what is allowed stays: the newest four gaps and the closed range.
        let closing = try #require(sparse.closing(toFit: 8))
        #expect(closing == 0...60)
        #expect(sparse.union(SequenceRanges(closing)).ranges == [0...60, 70...70, 80...80, 90...90])
    }

    @Test func aRepeatedSequenceIsRefused() throws {
        let error = try #require(throws: StoreError.self) { try SequenceRanges([1, 2, 2]) }
        #expect(error.code == .invalidValue)
        #expect(error.message.contains("sequence 2 appears twice"))
    }

    @Test(arguments: ["", "{", "{[1,2}", "{[1)}", "{[2,1)}", "[1,2)"])
    func unreadableTextIsAnError(_ text: String) {
        // Some of these read as nothing at all would; none may read as a range that is not there.
        let ranges = try? SequenceRanges(multirange: text)
        #expect(ranges == nil || ranges?.isEmpty == true)
    }
}
