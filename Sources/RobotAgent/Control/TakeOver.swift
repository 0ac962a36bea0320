/// How much of the plan in force is left in each tick of a merge.
///
/// The old share falls from 1 to the aggregate function's over `blendTicks`, and that one to 0 over the last `blendTicks` of
/// the old plan. Both ways are eased: they begin and end without velocity, so that two plans which differ by a few hundredths
/// of a radian do not become a jolt at either end.
struct TakeOver: Sendable {
    let aggregate: Float
    let blendTicks: Float
    /// First tick of the new plan.
    let start: Int64
    /// First tick behind the old plan.
    let oldEnd: Int64

    func oldShare(at tick: Int64) -> Float {
        let takingOver = Self.eased(1 - Float(tick - start + 1) / blendTicks)
        let aggregated = tick < oldEnd ? aggregate * Self.eased(Float(oldEnd - tick) / blendTicks) : 0
        return aggregated + (1 - aggregated) * takingOver
    }

    /// 0 to 1 with velocity 0 at both ends and 1.5 in the middle: the gentlest of its kind in acceleration.
    static func eased(_ share: Float) -> Float {
        let share = min(max(share, 0), 1)
        return share * share * (3 - 2 * share)
    }
}
