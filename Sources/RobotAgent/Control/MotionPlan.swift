import GrootCore

/// A straight move in joint space with a minimum-jerk profile: homing before and after an episode.
///
/// Peak speed of that profile is 1.875 times the average, so the duration follows from the joint that
/// has furthest to go and its speed limit. Claws step to their goal at once; the claw paces itself.
package struct MotionPlan: Sendable {
    package let start: [Float]
    package let goal: [Float]
    package let ticks: Int
    private let arms: Range<Int>

    /// - Parameter maximumVelocity: rad/s, the same for every arm joint.
    package init(
        from start: [Float],
        to goal: [Float],
        arms: Range<Int>,
        maximumVelocity: Float,
        tick: Duration = .milliseconds(10)
    ) {
        self.start = start
        self.goal = goal
        self.arms = arms
        let distance = arms.map { abs(goal[$0] - start[$0]) }.max() ?? 0
        let seconds = 1.875 * distance / maximumVelocity
        self.ticks = max(1, Int((seconds / Float(tick.seconds)).rounded(.up)))
    }

    /// Writes the target of the `index`-th tick, 1 to `ticks`, into `target`.
    package func sample(_ index: Int, into target: inout [Float]) {
        let time = Float(min(max(index, 0), ticks)) / Float(ticks)
        let share = time * time * time * (10 + time * (6 * time - 15))
        for dimension in target.indices {
            target[dimension] =
                arms.contains(dimension)
                ? start[dimension] + (goal[dimension] - start[dimension]) * share : goal[dimension]
        }
    }
}
