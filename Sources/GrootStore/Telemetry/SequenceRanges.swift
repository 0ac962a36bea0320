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
