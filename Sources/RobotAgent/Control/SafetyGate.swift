import GrootCore

/// What every command passes: the last place where it can be changed. Homing, episodes, stops and holds alike.
///
/// Knows limits and nothing of phases: what is wanted at a tick is the session machine's decision. `SafetyGateTests` compares
/// it with a slow reference model. Units: rad and rad/s for arm joints, 0 to 100 for claws. Pure and owned by the control
/// thread; every array is allocated at construction.
package struct SafetyGate: Sendable {
    package let limits: Limits
    /// rad/s for the arms on top of the limits.
    package var velocityCap: Float = .infinity
    /// The command to publish.
    package private(set) var output: [Float]
    private let tick: Duration
    /// Dimensions that stay where they were when streaming began, in every phase.
    private let isFrozen: [Bool]
    /// Change of the last command per tick.
    private var step: [Float]
    /// What the output follows or stands at: the last accepted target.
    private var target: [Float]
    private var brakeTicks = 0

    /// - Parameter tick: time between two control cycles.
    package init(limits: Limits, tick: Duration, frozen: Set<Int> = []) {
        self.limits = limits
        self.tick = tick
        self.output = Array(repeating: 0, count: limits.minimum.count)
        self.step = output
        self.target = output
        self.isFrozen = output.indices.map(frozen.contains)
    }

    /// Ticks of a whole deceleration.
    package var stopTicks: Int { max(1, Int(limits.stop.nanoseconds / tick.nanoseconds)) }

    package var isMoving: Bool {
        for index in limits.arms where step[index] != 0 { return true }
        return false
    }

    package func isFrozen(_ dimension: Int) -> Bool { isFrozen[dimension] }

    /// Begins to command from `pose`, standing still. What is frozen stays here; what lies outside of the limits does not.
    package mutating func started(at pose: [Float]) {
        for index in output.indices {
            output[index] = min(max(pose[index], limits.minimum[index]), limits.maximum[index])
            target[index] = output[index]
            step[index] = 0
        }
    }

    /// Whether a measured pose can be one of this arm, within a margin for encoders.
    package func poseMeasured(_ pose: [Float]) -> Fault? {
        for index in limits.arms {
            let value = pose[index]
            let isInside =
                value >= limits.minimum[index] - limits.poseMargin && value <= limits.maximum[index] + limits.poseMargin
            if !isInside { return .impossiblePose(dimension: index, value: value) }
        }
        return nil
    }

    /// Judges the first way point after standing, before anything of it is published.
    package func firstActionArrived(_ value: (Int) -> Float, measured pose: [Float]) -> Fault? {
        for dimension in limits.arms where !isFrozen[dimension] {
            guard value(dimension).isFinite else { return .notFinite(dimension: dimension) }
            let distance = abs(value(dimension) - pose[dimension])
            guard distance <= limits.firstActionTolerance else {
                return .farFromPose(dimension: dimension, distance: distance)
            }
        }
        return nil
    }

    /// The first target that is not a number.
    package func targetChosen(_ planned: [Float]) -> Fault? {
        for index in planned.indices where !planned[index].isFinite { return .notFinite(dimension: index) }
        return nil
    }

    /// Accepts a finite target and moves the output towards it.
    package mutating func followed(_ planned: [Float], elapsed: Int) -> Clamps {
        var clamps: Clamps = []
        let ticks = Float(max(1, elapsed))
        for index in planned.indices where !isFrozen[index] {
            let inside = min(max(planned[index], limits.minimum[index]), limits.maximum[index])
            let excess = abs(planned[index] - inside)
            var changed: Clamps = excess == 0 ? [] : excess > limits.positionNoise ? .position : .positionNoise
            changed.formUnion(advance(index, to: inside, targetStep: (inside - target[index]) / ticks, ticks))
            target[index] = inside
            // A claw command of -0.3 or 100.2 is the policy's ordinary noise, not a safety event.
            if limits.arms.contains(index) { clamps.formUnion(changed) }
        }
        return clamps
    }

    /// Comes to stand at the last target.
    package mutating func stood(elapsed: Int) {
        let ticks = Float(max(1, elapsed))
        for index in output.indices where !isFrozen[index] {
            _ = advance(index, to: target[index], targetStep: 0, ticks)
        }
    }

    /// Comes to stand where the arms are measured; claws stay.
    package mutating func yielded(to pose: [Float], elapsed: Int) {
        let ticks = Float(max(1, elapsed))
        for index in limits.arms where !isFrozen[index] {
            target[index] = min(max(pose[index], limits.minimum[index]), limits.maximum[index])
            _ = advance(index, to: target[index], targetStep: 0, ticks)
        }
    }

    /// Stands here: at rest already, whatever the last target was.
    package mutating func halted() {
        for index in output.indices {
            target[index] = output[index]
            step[index] = 0
        }
        brakeTicks = 0
    }

    /// A deceleration begins.
    package mutating func brakeBegan() { brakeTicks = isMoving ? stopTicks : 0 }

    /// Share of the speed before it that a deceleration has after the next cycle, 1 to 0.
    package func brakeSpeed(elapsed: Int) -> Float { Float(max(0, brakeTicks - elapsed)) / Float(stopTicks) }

    /// One cycle of a deceleration, claws as they are.
    ///
    /// - Parameter path: steps of the arms on the way that they slow down on; nil slows down in a straight line.
    /// - Returns: true once the arms stand; they then stand here, not at the last target.
    package mutating func braked(elapsed: Int, along path: [Float]? = nil) -> Bool {
        let left = max(0, brakeTicks - elapsed)
        // The speed falls in a line from what it was.
        let share = brakeTicks > 0 ? Float(left) / Float(brakeTicks) : 0
        brakeTicks = left
        for index in limits.arms where !isFrozen[index] {
            if left > 0, let path {
                step[index] = limitedStep(index, to: path[index])
            } else {
                step[index] = left > 0 ? step[index] * share : 0
            }
            let next = min(max(output[index] + step[index], limits.minimum[index]), limits.maximum[index])
            output[index] = next
        }
        guard left == 0 else { return false }
        halted()
        return true
    }
}

// MARK: Within the limits

extension SafetyGate {
    private func limitedStep(_ index: Int, to wanted: Float) -> Float {
        let seconds = Float(tick.seconds)
        let reach = min(limits.velocity[index], velocityCap) * seconds
        let change = limits.acceleration[index] * seconds * seconds
        let reachable = min(max(wanted, step[index] - change), step[index] + change)
        return min(max(reachable, -reach), reach)
    }

    /// Moves one dimension by one cycle of `ticks` ticks.
    ///
    /// Follows exactly when the limits allow it. After a limit has held it back it catches up no faster than
    /// it can brake again, so that it does not swing past a target at rest.
    private mutating func advance(_ index: Int, to goal: Float, targetStep: Float, _ ticks: Float) -> Clamps {
        let seconds = Float(tick.seconds)
        let isArm = limits.arms.contains(index)
        let reach = min(limits.velocity[index], isArm ? velocityCap : .infinity) * seconds
        let change = limits.acceleration[index] * seconds * seconds
        let wanted = (goal - output[index]) / ticks
        var next = wanted
        var clamps: Clamps = []
        if change.isFinite {
            // What is left to catch up when the target's own motion is taken out.
            let behind = wanted - targetStep
            let brake = (-change + (change * change + 8 * change * abs(behind) * ticks).squareRoot()) / 2
            let catchUp = min(abs(behind), max(brake, min(change, abs(behind))))
            next = targetStep + (behind < 0 ? -catchUp : catchUp)
            let allowed = change * ticks
            next = min(max(next, step[index] - allowed), step[index] + allowed)
            if abs(next - wanted) > 1e-6 { clamps.insert(.acceleration) }
        }
        let limited = min(max(next, -reach), reach)
        if limited != next { clamps.insert(.velocity) }
        var position = limited == wanted ? goal : output[index] + limited * ticks
        // The position limit is the harder one.
        position = min(max(position, limits.minimum[index]), limits.maximum[index])
        step[index] = (position - output[index]) / ticks
        output[index] = position
        return clamps
    }
}
