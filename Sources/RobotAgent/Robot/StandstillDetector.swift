package import GrootCore

/// Notices measurements that do not change at all while the commands move. Pure; part of `InputContract`.
///
/// Whether the arms follow well is another question, and the following error's; here the measurement itself stands.
package struct StandstillDetector: Sendable {
    private var measured: [Float] = []
    private var changedAt: MonotonicInstant?
    private var commanded: [Float]?
    /// The command when the measurement changed last, or when commands began.
    private var reference: [Float]?
    private var referenceAt: MonotonicInstant?

    package init() {}

    package mutating func measured(_ values: [Float], at now: MonotonicInstant) {
        guard values != measured else { return }
        measured = values
        changedAt = now
        reference = commanded
        referenceAt = commanded.map { _ in now }
    }

    package mutating func commanded(_ arms: [Float]?, at now: MonotonicInstant) {
        commanded = arms
        guard let arms else {
            reference = nil
            referenceAt = nil
            return
        }
        guard reference == nil else { return }
        reference = arms
        referenceAt = now
    }

    /// How far the commands moved (rad) while nothing measured changed for longer than `time`; nil when all is well.
    package func motion(over time: Duration, at now: MonotonicInstant) -> Float? {
        guard let commanded, let reference, let referenceAt, now - referenceAt > time else { return nil }
        let moved = zip(commanded, reference).map { abs($0 - $1) }.max() ?? 0
        return moved >= InputContract.standstillMotion ? moved : nil
    }
}
