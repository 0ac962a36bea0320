/// Turns the sparse rows of a chunk into control ticks without storing the dense samples.
///
/// The sources are the `bridge`, the command in force at the tick the chunk was captured, one period before row 0, and then
/// the rows. Arms follow the uniform cubic B-spline whose control points the sources are: velocity and acceleration are
/// continuous, no joint leaves the range of its sources, and the acceleration is never more than the second difference of
/// the sources asks for. At a row the curve is off by a sixth of that second difference (milliradians for a policy of ten
/// rows a second); at the bridge and at the last row by nothing. Interpolating linearly instead turns every change of
/// velocity into a jolt of one tick, ten times the acceleration.
///
/// The end comes to rest: the last `restTicks / 2` ticks of the curve take `restTicks`, slower and slower, so that arms which
/// no further chunk comes for neither pass the last row nor stop in one tick.
///
/// Claws are held: a row's value begins when the arm arrives at that row. The hold instants are spread evenly over the
/// samples exactly as the scripts the policies were recorded with do it, so the bridge's claw is held through the sample
/// before row 0 and the last row's claw occupies one sample.
package struct Resampler: Sendable {
    /// Value of a sample as shares of four consecutive sources: the one before `lower`, `lower` and the two behind it.
    /// The share of a source that does not exist is 0.
    package struct Shares: Sendable, Equatable {
        package var lower: Int
        package var before: Float
        package var at: Float
        package var next: Float
        package var after: Float
    }

    /// Source rows, bridge included.
    private let sources: Int
    private let grid: RowGrid
    /// Ticks from the capture to the last row.
    package let rowTicks: Int
    private let restTicks: Int
    /// Number of dense samples; sample `i` belongs to the tick `i + 1` after the capture.
    package var count: Int { rowTicks + restTicks / 2 }

    /// - Parameter restTicks: ticks over which the end comes to rest; 0 ends in full motion.
    package init(rows: Int, grid: RowGrid, restTicks: Int = 0) {
        precondition(rows > 0, "a chunk has rows")
        self.sources = rows + 1
        self.grid = grid
        rowTicks = grid.ticks(of: rows)
        self.restTicks = min(restTicks / 2, rowTicks) * 2
    }

    /// Where sample `index` lies on the curve, in rows.
    private func position(of index: Int) -> (whole: Int, fraction: Float) {
        let slowing = index + 1 - (rowTicks - restTicks / 2)
        guard slowing > 0, restTicks > 0 else { return grid.position(of: index + 1) }
        let behind = Float(restTicks - slowing)
        return grid.position(of: Float(rowTicks) - behind * behind / Float(2 * restTicks))
    }

    package func shares(of index: Int) -> Shares {
        let position = position(of: index)
        let lower = min(position.whole, sources - 2)
        let t = position.whole > lower ? 1 : position.fraction
        let rest = 1 - t
        var shares = Shares(
            lower: lower,
            before: rest * rest * rest / 6,
            at: (t * t * (3 * t - 6) + 4) / 6,
            next: (rest * rest * (3 * rest - 6) + 4) / 6,
            after: t * t * t / 6
        )
        // Beyond both ends the curve goes on straight, so that it passes through the first and the last source.
        if lower == 0 {
            shares.at += 2 * shares.before
            shares.next -= shares.before
            shares.before = 0
        }
        if lower == sources - 2 {
            shares.next += 2 * shares.after
            shares.at -= shares.after
            shares.after = 0
        }
        return shares
    }

    /// Source whose claw value sample `index` holds; 0 is the bridge.
    package func heldSource(of index: Int) -> Int {
        guard rowTicks > 1 else { return sources - 1 }
        return min(index, rowTicks - 1) * (sources - 1) / (rowTicks - 1)
    }

    /// Dense samples of one dimension; for tests and plots, the control loop samples in place.
    package func samples(_ rows: [Float], bridge: Float, held: Bool) -> [Float] {
        let source = [bridge] + rows
        return (0..<count).map { index in
            if held { return source[heldSource(of: index)] }
            let shares = shares(of: index)
            func value(_ place: Int) -> Float { source.indices.contains(place) ? source[place] : 0 }
            return shares.before * value(shares.lower - 1) + shares.at * value(shares.lower)
                + shares.next * value(shares.lower + 1) + shares.after * value(shares.lower + 2)
        }
    }
}
