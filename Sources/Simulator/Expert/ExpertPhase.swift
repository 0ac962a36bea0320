/// The steps of taking one carton from the pallet to the belt; raw values are the labels in demonstrations.
enum ExpertPhase: Int, CaseIterable, Sendable {
    case align, reach, squeeze, lift, pull, center, lower, release, home

    /// Speed limits and gains of the pair pose's advance.
    struct Motion {
        /// m/s.
        var speed: Double
        /// 1/s.
        var gain: Double
        /// rad/s.
        var yawSpeed: Double
        /// m/s.
        var gapSpeed: Double
    }

    var motion: Motion {
        switch self {
        case .align: Motion(speed: 0.45, gain: 6, yawSpeed: 1.2, gapSpeed: 0.25)
        case .reach: Motion(speed: 0.35, gain: 5, yawSpeed: 1.0, gapSpeed: 0.20)
        case .squeeze: Motion(speed: 0.10, gain: 20, yawSpeed: 0.3, gapSpeed: 0.20)
        case .lift: Motion(speed: 0.22, gain: 5, yawSpeed: 0, gapSpeed: 0.1)
        case .pull, .center: Motion(speed: 0.28, gain: 5, yawSpeed: 0.8, gapSpeed: 0.1)
        case .lower: Motion(speed: 0.28, gain: 5, yawSpeed: 0.5, gapSpeed: 0.1)
        case .release: Motion(speed: 0.10, gain: 12, yawSpeed: 0.3, gapSpeed: 0.25)
        case .home: Motion(speed: 0.40, gain: 5, yawSpeed: 1.0, gapSpeed: 0.30)
        }
    }

    var closesClaw: Bool { self >= .squeeze && self <= .lower }
}

extension ExpertPhase: Comparable {
    static func < (left: ExpertPhase, right: ExpertPhase) -> Bool { left.rawValue < right.rawValue }
}
