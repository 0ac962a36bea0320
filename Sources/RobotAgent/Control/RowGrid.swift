import GrootCore

/// Where the rows of a chunk lie among control ticks, whatever the ratio of the two rates: row `i` is due `i + 1` periods
/// after the capture. Whole nanoseconds, so that nothing drifts.
package struct RowGrid: Sendable, Equatable {
    /// Rows per second that a checkpoint may have.
    package static let rowsPerSecond = 1...100

    package let rate: ControlRate
    private let period: Int64
    private let tick: Int64

    /// - Parameter stride: rows pass this many times as fast as they were trained.
    package init(period: Duration, rate: ControlRate, stride: Int = 1) {
        precondition(period > .zero && stride > 0, "a chunk has a period")
        self.rate = rate
        self.period = max(1, period.nanoseconds / Int64(stride))
        self.tick = rate.tick.nanoseconds
    }

    /// Ticks from the capture until the last of `rows` is reached; a period like 1/30 s, cut to nanoseconds, costs none.
    package func ticks(of rows: Int) -> Int {
        max(1, Int((Int64(rows) * period + tick / 100) / tick))
    }

    /// Tick nearest to row `row`, counted from the capture.
    package func tick(ofRow row: Int) -> Int64 { (Int64(row + 1) * period + tick / 2) / tick }

    /// Rows that are due within `ticks` of the capture.
    package func rows(dueWithin ticks: Int64) -> Int { Int((max(0, ticks) * tick + tick / 100) / period) }

    /// Rows that the robot is past or on its way to when `ticks` have passed since the capture.
    package func rows(begunWithin ticks: Int64) -> Int { Int((max(0, ticks) * tick + period - 1) / period) }

    /// How many periods `ticks` after the capture are, as a whole part and what is beyond it.
    func position(of ticks: Int) -> (whole: Int, fraction: Float) {
        let time = Int64(ticks) * tick
        return (Int(time / period), Float(time % period) / Float(period))
    }

    /// The same between two ticks.
    func position(of ticks: Float) -> (whole: Int, fraction: Float) {
        let rows = Double(ticks) * Double(tick) / Double(period)
        let whole = rows.rounded(.down)
        return (Int(whole), Float(rows - whole))
    }
}
