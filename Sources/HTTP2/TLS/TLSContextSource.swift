package import GrootCore
import Synchronization

/// The TLS context that new connections get, remade from its files on demand; connections that are open keep theirs.
///
/// Any thread.
package final class TLSContextSource: Sendable {
    package enum Side: Sendable {
        case client
        case server
    }

    private struct State {
        var context: TLSContext
        var material: TLSMaterial
        var expiry: MonotonicInstant?
    }

    package let configuration: TLSConfiguration
    private let role: TLSContext.Role
    private let state: Mutex<State>

    /// - Throws: `HTTP2Error` with code `tls`: which file, and what is wrong with it.
    package init(_ side: Side, _ configuration: TLSConfiguration) throws(HTTP2Error) {
        self.configuration = configuration
        self.role = side == .server ? .server : .client
        state = Mutex(try Self.load(role, try TLSMaterial(configuration)))
    }

    var current: TLSContext { state.withLock { $0.context } }

    /// Reads the files again. Returns whether anything changed; what is wrong leaves the old context in use.
    @discardableResult
    package func reload() throws(HTTP2Error) -> Bool {
        let material = try TLSMaterial(configuration)
        guard state.withLock({ $0.material }) != material else { return false }
        let fresh = try Self.load(role, material)
        state.withLock { $0 = fresh }
        return true
    }

    /// Whether a peer would be refused today. Connections that were open before a reload ask this.
    package func isRevoked(_ peer: TLSPeer) -> Bool {
        !peer.serial.isEmpty && current.revoked.contains(serial: peer.serial)
    }

    /// Until our certificate expires, negative once it has; nil when there is none.
    package func timeUntilExpiry(at now: MonotonicInstant) -> Duration? {
        state.withLock { $0.expiry }.map { $0 - now }
    }

    private static func load(_ role: TLSContext.Role, _ material: TLSMaterial) throws(HTTP2Error) -> State {
        let context = try TLSContext(role, material)
        let expiry = context.secondsUntilExpiry.map { MonotonicInstant.now() + .seconds($0) }
        return State(context: context, material: material, expiry: expiry)
    }
}
