/// Sizes computed from numbers that somebody else wrote: a product or sum that does not fit is nil, never a trap.
package enum CheckedSize {
    /// Nil when a factor is negative or the product is larger than an `Int`.
    package static func product(_ factors: Int...) -> Int? { product(of: factors) }

    package static func product(of factors: some Sequence<Int>) -> Int? {
        var result = 1
        for factor in factors {
            let (next, overflow) = result.multipliedReportingOverflow(by: factor)
            guard factor >= 0, !overflow else { return nil }
            result = next
        }
        return result
    }

    /// Nil when a part is nil or negative, or when the sum is larger than an `Int`.
    package static func sum(of parts: some Sequence<Int?>) -> Int? {
        var result = 0
        for part in parts {
            guard let part, part >= 0 else { return nil }
            let (next, overflow) = result.addingReportingOverflow(part)
            guard !overflow else { return nil }
            result = next
        }
        return result
    }
}
