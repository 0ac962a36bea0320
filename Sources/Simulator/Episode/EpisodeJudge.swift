import GrootCore

/// Decides how an episode ends: the one place with outcome thresholds.
///
/// Pure; `observed` is called at 10 Hz of simulated time until it answers an outcome, and keeps answering it.
struct EpisodeJudge: Sendable {
    struct Limits: Hashable, Sendable {
        /// Where a placed carton's centre belongs, in m.
        var zone = SIMD3(0.205, 0.0, 0.81)
        var tolerance = SIMD3(0.06, 0.08, 0.015)
        var upCosine = 0.99
        /// m/s per axis.
        var linearSpeed = 0.02
        /// rad/s per axis.
        var angularSpeed = 0.1
        /// How far any other carton may have moved, in m.
        var otherMoved = 0.05
        /// A palm further than this from the centre has let go, in m.
        var palmClear = 0.125
        /// Checks in a row.
        var holdChecks = 5
        /// Another carton moved this far was taken, in m.
        var wrongMoved = 0.15
        /// A carton lower than this fell off, in m.
        var fallenHeight = 0.70
        /// A carton more tilted than this fell over.
        var fallenCosine = 0.5
        /// Simulated seconds.
        var timeout = 30.0
        /// Simulated seconds of staying home that count as refusing.
        var stayHome = 8.0
        /// How far a joint may be from home while refusing, in rad.
        var homeTolerance = 0.25
        /// How far a carton may have moved while refusing, in m.
        var refusedMoved = 0.02
    }

    struct Observation: Sendable {
        /// Simulated seconds since the episode's start.
        var time: Double
        var cartons: [CartonState]
        var palms: [SIMD3<Double>]
        /// 14 joints in rad.
        var joints: [Double]
    }

    struct Verdict: Hashable, Sendable {
        var outcome: EpisodeOutcome
        /// One sentence for a person.
        var reason: String
        var time: Double
    }

    let limits: Limits
    /// Index of the carton to take; nil when the right thing is to stay home.
    let target: Int?
    private let start: [SIMD3<Double>]
    private var held = 0
    /// Since when the arms have been home with nothing moved.
    private var homeSince: Double?
    private(set) var verdict: Verdict?

    init(target: Int?, start: [SIMD3<Double>], limits: Limits = Limits()) {
        self.target = target
        self.start = start
        self.limits = limits
    }

    mutating func observed(_ observation: Observation) -> Verdict? {
        if let verdict { return verdict }
        if let (outcome, reason) = decide(observation) {
            verdict = Verdict(outcome: outcome, reason: reason, time: observation.time)
        }
        return verdict
    }

    private mutating func decide(_ observation: Observation) -> (EpisodeOutcome, String)? {
        for (index, carton) in observation.cartons.enumerated()
        where carton.position.z < limits.fallenHeight || carton.upCosine < limits.fallenCosine {
            return (.dropped, index == target ? "the named carton fell" : "another carton fell")
        }
        for index in observation.cartons.indices where index != target {
            if moved(index, observation) > limits.wrongMoved {
                return (.wrongBox, "a carton that was not named was taken")
            }
        }
        if let target {
            held = isPlaced(target, observation) ? held + 1 : 0
            if held >= limits.holdChecks { return (.success, "the named carton stands on the belt") }
        } else if isHome(observation) {
            let since = homeSince ?? observation.time
            homeSince = since
            if observation.time - since >= limits.stayHome {
                return (.refused, "the task names no carton in reach, and the robot stayed home")
            }
        } else {
            homeSince = nil
        }
        return observation.time >= limits.timeout ? (.timeout, "the time limit passed") : nil
    }

    private func moved(_ index: Int, _ observation: Observation) -> Double {
        (observation.cartons[index].position - start[index]).length
    }

    private func isPlaced(_ target: Int, _ observation: Observation) -> Bool {
        let carton = observation.cartons[target]
        let offset = carton.position - limits.zone
        for axis in 0..<3 {
            guard abs(offset[axis]) < limits.tolerance[axis], abs(carton.linearVelocity[axis]) < limits.linearSpeed,
                abs(carton.angularVelocity[axis]) < limits.angularSpeed
            else { return false }
        }
        guard carton.upCosine > limits.upCosine else { return false }
        guard observation.palms.allSatisfy({ ($0 - carton.position).length > limits.palmClear }) else { return false }
        return observation.cartons.indices.allSatisfy { $0 == target || moved($0, observation) < limits.otherMoved }
    }

    private func isHome(_ observation: Observation) -> Bool {
        zip(observation.joints, HomePosture.joints).allSatisfy { abs($0 - $1) < limits.homeTolerance }
            && observation.cartons.indices.allSatisfy { moved($0, observation) < limits.refusedMoved }
    }
}
