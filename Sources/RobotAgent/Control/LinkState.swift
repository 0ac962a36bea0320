import Synchronization

/// Why no chunk comes, as far as the uplink can tell; each has its own time for which the arms are held.
package enum LinkState: UInt8, Sendable, CaseIterable, AtomicRepresentable {
    /// Requests are answered, even if late or with a refusal of this one.
    case reachable
    /// The gateway does not answer at all.
    case silent
    /// The gateway answers that no worker can serve.
    case noWorkers
}
