/// A deceleration that stays on the way that the arms are on: what is planned, only slower and slower.
///
/// A straight line instead would leave the plan where it bends, and pass its last target by up to half of `stop_ms` times the
/// speed. Owned by the session machine.
struct Slowing: Sendable {
    enum Way: Sendable {
        case chunks
        case home
    }

    let way: Way
    /// How far it has come, in ticks of the plan behind the one at which it began.
    var ticks: Float = 0
}

extension SessionMachine {
    /// The arms may lag behind a plan by what a float of their angle cannot say, rad.
    private static let onTheWay: Float = 1e-4

    /// The way that the arms are on; nil when the gate holds them back from it, or a fault says that it is none.
    var way: Slowing.Way? {
        guard fault == nil else { return nil }
        let way: Slowing.Way
        switch state {
        case .following: way = .chunks
        case .approaching, .homing: way = .home
        default: return nil
        }
        for index in arms where !gate.isFrozen(index) {
            guard abs(gate.output[index] - planned(0, on: way, index)) <= Self.onTheWay else { return nil }
        }
        return way
    }

    /// One cycle of a deceleration; true once the arms stand.
    mutating func slowed(_ elapsed: Int) -> Bool {
        guard var slowing else { return gate.braked(elapsed: elapsed) }
        let before = slowing.ticks
        slowing.ticks += gate.brakeSpeed(elapsed: elapsed)
        for index in arms {
            target[index] =
                planned(slowing.ticks, on: slowing.way, index) - planned(before, on: slowing.way, index)
            guard target[index].isFinite else {
                self.slowing = nil
                return gate.braked(elapsed: elapsed)
            }
        }
        self.slowing = slowing
        return gate.braked(elapsed: elapsed, along: target)
    }

    private func planned(_ ticks: Float, on way: Slowing.Way, _ index: Int) -> Float {
        switch way {
        case .chunks: queue.ahead(ticks, dimension: index)
        case .home: plan.ahead(ticks, dimension: index)
        }
    }
}
