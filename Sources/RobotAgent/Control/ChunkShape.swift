package import GrootCore

/// What of a chunk is executed, and how fast: the knobs of the synchronous scripts. Pure.
package struct ChunkShape: Sendable, Equatable {
    /// First row that is executed; rows before it are skipped.
    package var start = 0
    /// Last row that is executed, inclusive; nil for the chunk's last.
    package var end: Int?
    /// Rows pass n times as fast as they were trained. Sync mode only.
    package var stride = 1
    /// rad/s. In sync mode a faster segment is given more time, in whole rows; else the gate holds it back.
    package var maximumVelocity: Float?

    package init() {}

    /// Longest chunk after `paced`, in rows of the policy's chunk.
    package static let longestStretch = 8

    /// Rows to ask for.
    package func rows(of chunkSize: Int) -> Int { min(chunkSize, (end ?? chunkSize - 1) + 1) }

    /// The selected rows, or nil when the chunk has none of them.
    package func selected(_ chunk: ActionChunk) -> ActionChunk? {
        let last = min(chunk.rows - 1, end ?? chunk.rows - 1)
        guard start <= last else { return nil }
        if start == 0, last == chunk.rows - 1 { return chunk }
        let width = chunk.dimensions
        return ActionChunk(
            names: chunk.names,
            rows: last - start + 1,
            values: Array(chunk.values[start * width..<(last + 1) * width]),
            period: chunk.period
        )
    }

    /// The chunk with intermediate rows so that no joint exceeds `maximumVelocity`; sync mode.
    ///
    /// Arms move on a straight line within a stretched segment, claws change at its end as they did before.
    package func paced(_ chunk: ActionChunk, from pose: [Float], arms: Range<Int>) -> ActionChunk {
        guard let maximumVelocity else { return chunk }
        let seconds = Float(chunk.period.seconds) / Float(stride)
        let limit = chunk.rows * Self.longestStretch
        var values: [Float] = []
        var rows = 0
        var previous = Array(pose.prefix(chunk.dimensions))
        for row in 0..<chunk.rows {
            let next = (0..<chunk.dimensions).map { chunk[row, $0] }
            let distance = arms.map { abs(next[$0] - previous[$0]) }.max() ?? 0
            let parts = max(1, Int((distance / (maximumVelocity * seconds) - 1e-4).rounded(.up)))
            for part in 1...parts where rows < limit {
                let share = Float(part) / Float(parts)
                for index in next.indices {
                    let isLast = part == parts
                    values.append(
                        arms.contains(index)
                            ? previous[index] + (next[index] - previous[index]) * share
                            : isLast ? next[index] : previous[index]
                    )
                }
                rows += 1
            }
            previous = next
        }
        return ActionChunk(names: chunk.names, rows: rows, values: values, period: chunk.period) ?? chunk
    }
}
