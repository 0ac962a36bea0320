/// What a policy answers: `rows` future targets of `names.count` values each, row-major.
///
/// Row `i` is the target to be reached `(i + 1) * period` after the observation was captured. Units are
/// the robot's own: arm joints in rad, claws 0 (open) to 100 (closed).
package struct ActionChunk: Hashable, Sendable {
    package var names: [String]
    package var rows: Int
    package var values: [Float]
    package var period: Duration

    /// Fails when the number of values is not `rows * names.count`.
    package init?(names: [String], rows: Int, values: [Float], period: Duration) {
        guard rows >= 0, values.count == rows * names.count, period > .zero else { return nil }
        self.names = names
        self.rows = rows
        self.values = values
        self.period = period
    }

    package var dimensions: Int { names.count }

    package subscript(row: Int, dimension: Int) -> Float {
        values[row * names.count + dimension]
    }
}
