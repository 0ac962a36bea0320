import GrootCore

/// Turns the sparse rows of a chunk (10 Hz) into control ticks (100 Hz) without storing the dense samples.
///
/// `bridge` is the command that was in force at the tick the chunk was captured, one period before row
/// 0; without it the samples start at row 0 itself. Arms are interpolated linearly. Claws are held: a
/// row's value begins when the arm arrives at that row. The hold instants are spread evenly over the
/// samples exactly as the scripts the policies were recorded with do it, so a bridged chunk holds the
/// bridge's claw through sample 9 and the last row's claw occupies one sample.
package struct Resampler: Sendable {
    /// Source rows, bridge included.
    private let sources: Int
    private let ticksPerRow: Int
    private let hasBridge: Bool

    package init(rows: Int, ticksPerRow: Int, hasBridge: Bool) {
        precondition(rows > 0 && ticksPerRow > 0, "a chunk has rows and a period")
        self.sources = rows + (hasBridge ? 1 : 0)
        self.ticksPerRow = ticksPerRow
        self.hasBridge = hasBridge
    }

    /// Number of dense samples: `rows * ticksPerRow` with a bridge, one period and a bit less without.
    package var count: Int {
        let spans = (sources - 1) * ticksPerRow
        return hasBridge ? spans : spans + 1
    }

    /// Where sample `index` lies between two source rows: `lower` counts the bridge as source 0.
    package func position(of index: Int) -> (lower: Int, fraction: Float) {
        let step = hasBridge ? index + 1 : index
        let lower = min(step / ticksPerRow, max(0, sources - 2))
        return (lower, Float(step - lower * ticksPerRow) / Float(ticksPerRow))
    }

    /// Source row whose claw value sample `index` holds.
    package func heldSource(of index: Int) -> Int {
        guard hasBridge else { return index / ticksPerRow }
        guard count > 1 else { return sources - 1 }
        return index * (sources - 1) / (count - 1)
    }

    /// Dense samples of one dimension; for tests and plots, the control loop samples in place.
    package func samples(_ rows: [Float], bridge: Float?, held: Bool) -> [Float] {
        precondition((bridge != nil) == hasBridge, "the bridge was announced otherwise")
        let source = (bridge.map { [$0] } ?? []) + rows
        return (0..<count).map { index in
            if held { return source[heldSource(of: index)] }
            let (lower, fraction) = position(of: index)
            guard lower + 1 < source.count else { return source[lower] }
            return source[lower] + (source[lower + 1] - source[lower]) * fraction
        }
    }
}
