/// How the part of a new chunk that overlaps the plan in force is combined with it, tick by tick.
///
/// Applies to arm joints only. A claw command half-way between open and closed is a command nobody
/// gave, so claws always come from the newest chunk.
package enum AggregateFunction: String, Sendable, CaseIterable {
    /// 0.3 old + 0.7 new.
    case weightedAverage = "weighted_average"
    case latestOnly = "latest_only"
    /// 0.5 old + 0.5 new.
    case average
    /// 0.7 old + 0.3 new.
    case conservative

    /// Share of the old plan, 0 to 1.
    package var oldShare: Float {
        switch self {
        case .weightedAverage: 0.3
        case .latestOnly: 0
        case .average: 0.5
        case .conservative: 0.7
        }
    }
}
