/// A set of record sequences as sorted, disjoint, non-adjacent ranges: PostgreSQL's `int8multirange`.
///
/// Pure.
package struct SequenceRanges: Sendable, Equatable {
    /// Inclusive on both ends.
    package private(set) var ranges: [ClosedRange<Int64>] = []

    package init() {}

    /// - Throws: `invalidValue` when a sequence appears twice or does not fit.
    package init(_ sequences: [Int64]) throws(StoreError) {
        for sequence in sequences.sorted() {
            guard let last = ranges.last, sequence <= last.upperBound + 1 else {
                guard sequence < Int64.max else {
                    throw StoreError(.invalidValue, "sequence \(sequence) is too large")
                }
                ranges.append(sequence...sequence)
                continue
            }
            guard sequence > last.upperBound else {
                throw StoreError(.invalidValue, "sequence \(sequence) appears twice in one report")
            }
            guard sequence < Int64.max else { throw StoreError(.invalidValue, "sequence \(sequence) is too large") }
            ranges[ranges.count - 1] = last.lowerBound...sequence
        }
    }

    /// Reads the server's text format, `{[1,4),[7,9)}`, which always includes the lower and excludes the upper end.
    package init(multirange text: String) throws(StoreError) {
        func malformed() -> StoreError { StoreError(.rejected, "unreadable int8multirange: \(text)") }
        guard text.hasPrefix("{"), text.hasSuffix("}") else { throw malformed() }
        for part in text.dropFirst().dropLast().split(separator: "[") {
            let numbers = part.prefix { $0 != ")" }.split(separator: ",")
            guard part.contains(")"), numbers.count == 2, let lower = Int64(numbers[0]), let upper = Int64(numbers[1]),
                lower < upper
            else {
                throw malformed()
            }
            ranges.append(lower...(upper - 1))
        }
    }

    package var isEmpty: Bool { ranges.isEmpty }

    package func union(_ other: SequenceRanges) -> SequenceRanges {
        var result = SequenceRanges()
        for range in (ranges + other.ranges).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            guard let last = result.ranges.last, range.lowerBound <= last.upperBound + 1 else {
                result.ranges.append(range)
                continue
            }
            result.ranges[result.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
        }
        return result
    }

    /// The range that closes the oldest gaps so that at most `limit` ranges are left; nil when there are not more.
    ///
    /// Agents send in order: what is missing below was given up. Half of the limit stays free, so that this is rare.
    package func closing(toFit limit: Int) -> ClosedRange<Int64>? {
        guard ranges.count > limit, let first = ranges.first else { return nil }
        return first.lowerBound...ranges[ranges.count - max(1, limit / 2)].upperBound
    }

    package init(_ range: ClosedRange<Int64>) { ranges = [range] }

    /// The server's text format.
    package var multirange: String {
        "{" + ranges.map { "[\($0.lowerBound),\($0.upperBound + 1))" }.joined(separator: ",") + "}"
    }

    package func contains(_ sequence: Int64) -> Bool {
        guard let range = firstEnding(atOrAfter: sequence) else { return false }
        return range.contains(sequence)
    }

    package func intersects(_ other: ClosedRange<Int64>) -> Bool {
        firstEnding(atOrAfter: other.lowerBound)?.overlaps(other) ?? false
    }

    private func firstEnding(atOrAfter sequence: Int64) -> ClosedRange<Int64>? {
        var low = ranges.startIndex
        var high = ranges.endIndex
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low < ranges.endIndex ? ranges[low] : nil
    }
}
