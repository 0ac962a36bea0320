import GRPCCore
import GrootAPI
import GrootCore

/// The robot that an `Infer` call is from: what the gateway verified, what its headers say and what the body says agree,
/// or the call is refused. Pure.
///
/// A newer observation takes the place of an older one of the same robot; who that is must not be for the body to say.
enum Speaker {
    /// As the gateway has it.
    static let longestName = 128

    /// - Parameter body: the robot that the message names; may be empty.
    /// - Returns: the robot's name; empty for one that named itself nowhere and stands for itself.
    static func verified(in metadata: Metadata, body: String) throws(WorkerError) -> String {
        guard body.utf8.count <= longestName else {
            throw WorkerError(
                .badRequest,
                "The robot's name has \(body.utf8.count) bytes, at most \(longestName) are accepted."
            )
        }
        let named = metadata[stringValues: MetadataKey.robot].first { _ in true }
        let peers = Array(metadata[stringValues: MetadataKey.peer])
        guard let text = peers.first else { return try agreed(named, body) }
        guard peers.count == 1, let peer = PeerIdentity(uri: PeerIdentity.scheme + text) else {
            throw WorkerError(
                .notTheSpeaker,
                "\(MetadataKey.peer) is \(ReadableText.list(peers)); expected one identity such as robot/r1."
            )
        }
        // Operators and other gateways speak for any robot: the gateway allowed it.
        guard peer.kind == .robot else { return try agreed(named, body) }
        for claim in [named ?? "", body] where !claim.isEmpty && claim != peer.name {
            throw WorkerError(
                .notTheSpeaker,
                "The certificate is of \(peer), the request speaks for robot \"\(claim)\"."
            )
        }
        return peer.name
    }

    private static func agreed(_ named: String?, _ body: String) throws(WorkerError) -> String {
        guard let named, !named.isEmpty else { return body }
        guard body.isEmpty || body == named else {
            throw WorkerError(
                .badRequest,
                "\(MetadataKey.robot) is \"\(named)\", but the message is of robot \"\(body)\"."
            )
        }
        return named
    }
}
