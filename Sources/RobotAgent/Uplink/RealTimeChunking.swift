import GrootAPI
import GrootCore

/// Turns the plan in force into the prefix of a request (real-time chunking without gradients).
///
/// Row `i` of the prefix is what the robot executes `(i + 1)` periods after the observation's capture: the
/// clock is the robot's own, the unit is the policy's. Claws come out of the plan as they will be commanded,
/// which is never between two rows.
enum RealTimeChunking {
    /// Share of the requests whose answer arrives within the frozen rows.
    static let quantile = 0.9
    /// Capture until merge, until something was measured.
    static let initialDelay = Duration.milliseconds(200)

    /// - Parameters:
    ///   - order: action names of the plan's dimensions.
    ///   - delay: capture until merge as measured lately.
    ///   - overlap: rows behind the frozen ones that the policy may bend; 0 for policies that never learnt that.
    /// - Returns: nil when nothing is left to continue.
    static func prefix(
        from board: PlanBoard,
        capturedAt tick: Int64,
        delay: Duration?,
        overlap: Int = 0,
        policy: PolicyDescription,
        order: [String]
    ) -> Groot_V1_ActionPrefix? {
        let delay = delay ?? initialDelay
        let ticks = Int64(board.grid.rate.ticks(covering: delay))
        let leftover = board.leftover(capturedAt: tick, delay: ticks, limit: policy.chunkSize)
        let rows = leftover.rows.prefix(leftover.frozen + overlap)
        guard !rows.isEmpty else { return nil }
        let columns = policy.actionNames.compactMap { order.firstIndex(of: $0) }
        guard columns.count == policy.actionNames.count else { return nil }
        var prefix = Groot_V1_ActionPrefix()
        prefix.rows = UInt32(rows.count)
        prefix.frozenRows = UInt32(leftover.frozen)
        prefix.values = rows.flatMap { row in columns.map { row[$0] } }
        return prefix
    }
}
