import Foundation

/// Standard normal numbers from a seed: the same on every machine with IEEE doubles and the same libm.
package enum SeededNormal {
    /// `count` values; seed 0 stands for no noise and gives zeros.
    package static func values(seed: UInt64, count: Int) -> [Float] {
        guard seed != 0 else { return Array(repeating: 0, count: count) }
        var generator = SplitMix64(state: seed)
        var values: [Float] = []
        values.reserveCapacity(count + 1)
        while values.count < count {
            // Box-Muller; 1 - u keeps the logarithm's argument above zero.
            let radius = (-2 * log(1 - generator.unit())).squareRoot()
            let angle = 2 * Double.pi * generator.unit()
            values.append(Float(radius * cos(angle)))
            values.append(Float(radius * sin(angle)))
        }
        return Array(values.prefix(count))
    }
}

/// Steele, Lea and Flood's SplitMix64: one addition and three mixing steps per number.
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1) with 53 bits.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
