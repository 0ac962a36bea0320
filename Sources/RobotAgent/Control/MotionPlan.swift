import GrootCore

/// A straight move in joint space with a minimum-jerk profile: the way home.
///
/// Peak speed of that profile is 1.875 times the average and peak acceleration 5.7735 times distance by time squared, so the
/// duration follows from the joint that needs longest. Claws step to their goal at once; the claw paces itself. Owned by the
/// session machine; its arrays are allocated once and overwritten by the next move.
package struct MotionPlan: Sendable {
    package private(set) var start: [Float]
    package private(set) var goal: [Float]
    package private(set) var ticks = 1
    /// Ticks of it that were executed.
    package private(set) var index = 0
    private let arms: Range<Int>
    private let rate: ControlRate

    package init(dimensions: Int, arms: Range<Int>, rate: ControlRate) {
        start = Array(repeating: 0, count: dimensions)
        goal = start
        self.arms = arms
        self.rate = rate
    }

    /// What is left at rest: the goal is kept, the way begins at `pose`.
    ///
    /// - Parameters:
    ///   - velocity: rad/s, the same for every arm joint.
    ///   - acceleration: rad/s² by dimension.
    package mutating func began(from pose: [Float], velocity: Float, acceleration: [Float]) {
        var seconds: Float = 0
        for dimension in start.indices { start[dimension] = pose[dimension] }
        for dimension in arms {
            let distance = abs(goal[dimension] - start[dimension])
            seconds = max(seconds, 1.875 * distance / velocity)
            seconds = max(seconds, (5.7735 * distance / acceleration[dimension]).squareRoot())
        }
        ticks = max(1, Int((seconds * Float(rate.hertz)).rounded(.up)))
        index = 0
    }

    package mutating func aimed(at value: Float, dimension: Int) { goal[dimension] = value }

    package mutating func advanced(by elapsed: Int) { index = min(ticks, index + elapsed) }

    package var isOver: Bool { index >= ticks }

    /// Writes the target of the tick that `index` has come to into `target`.
    package func sample(into target: inout [Float]) {
        let share = share(at: Float(index))
        for dimension in target.indices {
            target[dimension] =
                arms.contains(dimension)
                ? start[dimension] + (goal[dimension] - start[dimension]) * share : goal[dimension]
        }
    }

    /// Where an arm joint is `ticks` behind the one that `index` has come to, between two ticks too.
    package func ahead(_ ticks: Float, dimension: Int) -> Float {
        start[dimension] + (goal[dimension] - start[dimension]) * share(at: Float(index) + ticks)
    }

    private func share(at index: Float) -> Float {
        let time = min(1, index / Float(ticks))
        return time * time * time * (10 + time * (6 * time - 15))
    }
}
