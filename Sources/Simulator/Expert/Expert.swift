/// The scripted planner: sees the true state, answers the same chunk a policy would.
///
/// Pure; the caller passes the state every 0.1 s. It plans from the *commanded* pair pose and advances a
/// virtual carton together with the palms, so that later phases appear in the look-ahead.
struct Expert: Sendable {
    static let chunkSize = 16
    /// Seconds between rows.
    static let period = 0.1
    static let standoff = 0.215
    static let openHalfGap = 0.107
    static let squeezedHalfGap = 0.048
    /// Commanded half gap below which the pads touch the carton.
    static let contactHalfGap = 0.080
    /// Commanded half gap that presses hard enough to lift.
    static let firmHalfGap = 0.055
    static let releasedHalfGap = 0.135
    /// Measured half gap above which nothing is held.
    static let gripHalfGap = 0.091
    static let carryHeight = 1.11
    static let zone = SIMD3(0.205, 0.0, 0.81)
    static let homePose = PairPose(centre: SIMD3(0.185, 0, 0.98), yaw: 0, halfGap: 0.24)
    /// Height above which a carton still stands on the pallet.
    static let palletHeight = 0.86

    struct Plan: Sendable {
        /// `chunkSize` rows of 14 joints (rad) and 2 claws (0…100).
        var rows: [[Double]]
        var phase: ExpertPhase
    }

    private struct View {
        var pair: PairPose
        var carton: SIMD3<Double>
        var cartonYaw: Double
        var measured: PairPose
    }

    /// Index of the carton to take, or nil to stay home.
    let target: Int?
    private(set) var phase: ExpertPhase

    init(target: Int?) {
        self.target = target
        phase = target == nil ? .home : .align
    }

    /// Plans from the last command (16) and the measured joints (16).
    mutating func plan(command: [Double], measured: [Double], cartons: [CartonState]) -> Plan {
        let carton = target.map { cartons[$0] }
        var view = View(
            pair: PairPose(joints: command),
            carton: carton?.position ?? .zero,
            cartonYaw: carton?.yaw ?? 0,
            measured: PairPose(joints: measured)
        )
        if target != nil { phase = Self.next(phase, view) }
        var ahead = phase
        var joints = Array(command[0..<14])
        var rows: [[Double]] = []
        for row in 0..<Self.chunkSize {
            if row > 0, target != nil { ahead = Self.next(ahead, view) }
            let before = view.pair
            view.pair = Self.advanced(view, ahead)
            let held = ahead >= .lift && ahead <= .lower
            if held {
                view.carton += view.pair.centre - before.centre
                view.cartonYaw += view.pair.yaw - before.yaw
            }
            let around = (view.pair.centre - view.carton).length < 0.05
            view.measured = view.pair
            if around { view.measured.halfGap = max(view.pair.halfGap, 0.078) }
            joints = view.pair.joints(from: joints)
            let claw = ahead.closesClaw ? 100.0 : 0
            rows.append(joints + [claw, claw])
        }
        return Plan(rows: rows, phase: phase)
    }

    private static func next(_ phase: ExpertPhase, _ view: View) -> ExpertPhase {
        let pair = view.pair
        let offset = (pair.centre - view.carton).turned(by: -view.cartonYaw)
        let yawError = abs(wrapped(pair.yaw - view.cartonYaw))
        if phase >= .lift && phase <= .lower {
            let lost =
                view.measured.halfGap > gripHalfGap || (view.measured.centre - view.carton).length > 0.08
            if lost { return view.carton.z > palletHeight && view.carton.x > 0.33 ? .align : .home }
        }
        switch phase {
        case .align:
            let aligned =
                abs(offset.y) < 0.010 && abs(pair.halfGap - openHalfGap) < 0.012 && yawError < 0.06
                && abs(offset.z) < 0.020 && offset.x > -standoff - 0.06
            return aligned ? .reach : .align
        case .reach:
            if abs(offset.x) < 0.012 { return .squeeze }
            let off =
                abs(offset.y) > 0.030 || abs(pair.halfGap - openHalfGap) > 0.036 || yawError > 0.18
                || abs(offset.z) > 0.060
            return off ? .align : .reach
        case .squeeze: return pair.halfGap < firmHalfGap && view.measured.halfGap < gripHalfGap ? .lift : .squeeze
        case .lift: return view.carton.z >= 1.095 ? .pull : .lift
        case .pull: return view.carton.x < 0.252 ? .center : .pull
        case .center:
            let centred =
                abs(pair.centre.x - zone.x) < 0.020 && abs(pair.centre.y) < 0.015 && abs(wrapped(pair.yaw)) < 0.06
            return centred ? .lower : .center
        case .lower:
            let down = view.carton.z < 0.82 || (view.carton.z < 0.845 && pair.centre.z < 0.802)
            return down ? .release : .lower
        case .release: return pair.halfGap > 0.115 ? .home : .release
        case .home: return .home
        }
    }

    private static func goal(_ view: View, _ phase: ExpertPhase) -> PairPose {
        let pair = view.pair
        switch phase {
        case .align:
            return PairPose(
                centre: view.carton + SIMD3(-standoff, 0, 0).turned(by: view.cartonYaw),
                yaw: view.cartonYaw,
                halfGap: openHalfGap
            )
        case .reach: return PairPose(centre: view.carton, yaw: view.cartonYaw, halfGap: openHalfGap)
        case .squeeze:
            // Once the pads touch, following the carton would push it along: it moves with the palms.
            let touches = pair.halfGap < contactHalfGap
            return PairPose(
                centre: touches ? pair.centre : view.carton,
                yaw: touches ? pair.yaw : view.cartonYaw,
                halfGap: squeezedHalfGap
            )
        case .lift:
            var goal = pair
            goal.centre.z += max(carryHeight - view.carton.z, 0)
            goal.halfGap = squeezedHalfGap
            return goal
        case .pull:
            let y = min(max(pair.centre.y, -0.085), 0.085)
            return PairPose(centre: SIMD3(0.235, y, carryHeight), yaw: 0, halfGap: squeezedHalfGap)
        case .center:
            return PairPose(centre: SIMD3(zone.x, 0, carryHeight), yaw: 0, halfGap: squeezedHalfGap)
        case .lower: return PairPose(centre: SIMD3(zone.x, 0, 0.798), yaw: 0, halfGap: squeezedHalfGap)
        case .release: return PairPose(centre: pair.centre, yaw: pair.yaw, halfGap: releasedHalfGap)
        case .home: return homePose
        }
    }

    private static func advanced(_ view: View, _ phase: ExpertPhase) -> PairPose {
        let goal = goal(view, phase)
        let motion = phase.motion
        var pair = view.pair
        var speed = motion.speed
        if phase == .home && pair.halfGap < 0.175 { speed *= 0.3 }
        let way = goal.centre - pair.centre
        let distance = way.length
        if distance > 1e-9 { pair.centre += way * (advance(distance, speed, motion.gain) / distance) }
        let turn = wrapped(goal.yaw - pair.yaw)
        pair.yaw += (turn < 0 ? -1 : 1) * advance(abs(turn), motion.yawSpeed, motion.gain)
        let close = goal.halfGap - pair.halfGap
        pair.halfGap += (close < 0 ? -1 : 1) * advance(abs(close), motion.gapSpeed, motion.gain)
        return pair
    }

    /// How far to go in one row: slows down near the goal, never stalls.
    private static func advance(_ distance: Double, _ limit: Double, _ gain: Double) -> Double {
        min(distance, min(limit, max(gain * distance, 0.03)) * period)
    }
}
