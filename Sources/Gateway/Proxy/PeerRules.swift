import GrootCore
import HTTP2

/// Who may ask for what, by the identity in the peer's certificate. Pure.
///
/// Without a verified certificate (cleartext, or TLS without an authority) everything is allowed: the network is then
/// the only fence. Robots speak for themselves only, workers speak to the control plane only, operators (load tests,
/// evaluation, people) and other gateways speak for any robot.
enum PeerRules {
    /// Nil when the request is allowed.
    static func refusal(_ peer: TLSPeer?, route: Route, robot: String?) -> GRPCStatus? {
        guard let peer, peer.isVerified else { return nil }
        guard let identity = peer.identity else {
            return GRPCStatus(
                .permissionDenied,
                "the certificate \(peer.subject) names nobody: it needs one groot://ROLE/NAME among its names"
            )
        }
        switch (identity.kind, route) {
        case (.operator, _), (.gateway, _), (_, .unknown): return nil
        case (.robot, _):
            guard let robot, robot != identity.name else { return nil }
            return GRPCStatus(
                .permissionDenied,
                "the certificate of \(identity) does not allow to speak for robot \"\(robot)\""
            )
        case (.worker, .control) where robot == nil: return nil
        case (.worker, _):
            return GRPCStatus(.permissionDenied, "the certificate of \(identity) does not allow to speak for robots")
        }
    }
}
