import Foundation
import GrootCore

/// How long a worker takes for a batch of each size, in seconds: what it said when it described itself, corrected by
/// what it was seen to take. Pure.
///
/// A slow answer is believed by half at once, faster ones pull the average down slowly, and while nothing is sent the
/// correction fades, so that a worker that was slow once gets another chance. Sizes never seen are interpolated; beyond
/// the sizes that are known, half of a batch's time is taken to be its fixed cost.
struct ServiceTimes: Sendable {
    /// Time constant at which faster answers pull an average down.
    static let averaging = 2.0
    /// Time constant at which a correction fades while nothing is sent.
    static let fading = 10.0
    /// What an unknown worker is thought to take: little, so that it is tried.
    static let unknown = 0.001
    /// Largest batch that is told apart.
    static let largest = 64

    private var described: [Double] = []
    private var learned: [Double] = []
    /// Seconds by batch size - 1, without and with what was learned.
    private var prior: [Double] = []
    private var curve: [Double] = []
    private var updated = MonotonicInstant(nanoseconds: 0)

    /// Sets what the worker says of itself; sizes that it left out are interpolated.
    mutating func described(as times: [(batch: Int, time: Duration)], maxBatch: Int) {
        described = Array(repeating: 0, count: min(Self.largest, max(1, maxBatch)))
        for (batch, time) in times where (1...described.count).contains(batch) && time > .zero {
            described[batch - 1] = time.seconds
        }
        rebuild()
    }

    /// A batch of this size took so long.
    mutating func observed(batch: Int, seconds: Double, at now: MonotonicInstant) {
        let size = min(Self.largest, max(1, batch))
        while learned.count < size { learned.append(0) }
        let known = learned[size - 1]
        if known == 0 {
            learned[size - 1] = seconds
        } else if seconds >= known {
            learned[size - 1] = known + 0.5 * (seconds - known)
        } else {
            let elapsed = max(0, (now - updated).seconds)
            learned[size - 1] = known + (1 - exp(-elapsed / Self.averaging)) * (seconds - known)
        }
        updated = now
        // The common case of a worker without batches costs nothing.
        if described.isEmpty, curve.count == 1, learned.count == 1 { curve[0] = learned[0] } else { rebuild() }
    }

    /// Forgets what was learned: the worker was restarted and is a new one.
    mutating func forget() {
        learned = []
        rebuild()
    }

    var isKnown: Bool { !curve.isEmpty }

    /// Seconds for a batch of this size. `idle`: nothing is in flight, so what was learned fades.
    func seconds(batch: Int, idle: Bool, at now: MonotonicInstant) -> Double {
        let value = Self.value(of: batch, in: curve)
        guard idle, !learned.isEmpty else { return value }
        let age = max(0, (now - updated).seconds)
        guard age > 0.25 else { return value }
        let rest = Self.value(of: batch, in: prior)
        return rest + (value - rest) * exp(-age / Self.fading)
    }

    private static func value(of batch: Int, in curve: [Double]) -> Double {
        guard let last = curve.last else { return unknown }
        if batch <= curve.count { return curve[max(1, batch) - 1] }
        return last * (1 + Double(batch) / Double(curve.count)) / 2
    }

    private mutating func rebuild() {
        prior = Self.filled(described)
        var known = described
        while known.count < learned.count { known.append(0) }
        for index in learned.indices where learned[index] > 0 { known[index] = learned[index] }
        curve = Self.filled(known)
    }

    /// Fills the gaps (zeros): straight lines between known sizes, half fixed cost outside of them.
    private static func filled(_ known: [Double]) -> [Double] {
        guard let first = known.firstIndex(where: { $0 > 0 }) else { return [] }
        var filled = known
        for index in 0..<first {
            filled[index] = known[first] * (1 + Double(index + 1) / Double(first + 1)) / 2
        }
        var last = first
        for index in known.indices.dropFirst(first + 1) where known[index] > 0 {
            for gap in (last + 1)..<max(last + 1, index) {
                filled[gap] = known[last] + (known[index] - known[last]) * Double(gap - last) / Double(index - last)
            }
            last = index
        }
        for index in known.indices.dropFirst(last + 1) {
            filled[index] = known[last] * (1 + Double(index + 1) / Double(last + 1)) / 2
        }
        return filled
    }
}
