import GrootCore

/// Compares where the arms were commanded to be with where they are measured. Pure.
///
/// A joint that is further off than its tolerance, or pushes harder than its limit, for the whole of `time` is a fault: one
/// sample is noise, and while moving every arm lags. Owned by the session machine; its arrays are allocated once.
package struct FollowingWatch: Sendable {
    private let limits: SafetyGate.Limits
    private let tick: Duration
    private var away: [Int]
    private var pushing: [Int]

    package init(limits: SafetyGate.Limits, tick: Duration) {
        self.limits = limits
        self.tick = tick
        away = Array(repeating: 0, count: limits.arms.count)
        pushing = away
    }

    package mutating func reset() {
        for index in away.indices {
            away[index] = 0
            pushing[index] = 0
        }
    }

    /// - Returns: the first joint that has been elsewhere, or has pushed too hard, for too long.
    package mutating func ticked(command: [Float], _ inputs: ControlInputs, elapsed: Int) -> Fault? {
        var fault: Fault?
        for dimension in limits.arms {
            let index = dimension - limits.arms.lowerBound
            if inputs.isMeasured, let tolerance = limits.followingTolerance {
                let distance = abs(command[dimension] - inputs.measured[dimension])
                away[index] = distance > tolerance ? away[index] + elapsed : 0
                if fault == nil, tick * away[index] > limits.followingTime {
                    fault = .notFollowing(dimension: dimension, distance: distance)
                }
            }
            if inputs.hasTorque, index < limits.torque.count {
                let torque = abs(inputs.torque[index])
                // What is no number is not below the limit.
                pushing[index] = torque <= limits.torque[index] ? 0 : pushing[index] + elapsed
                if fault == nil, tick * pushing[index] > limits.followingTime {
                    fault = .overTorque(dimension: dimension, torque: torque)
                }
            }
        }
        return fault
    }
}
