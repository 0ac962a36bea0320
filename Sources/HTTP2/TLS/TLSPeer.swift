package import GrootCore

/// What the handshake found out about the other side.
package struct TLSPeer: Sendable, Equatable {
    /// From the URI in the peer's verified certificate; nil when it showed none, or one without or with several
    /// `groot://` URIs.
    package var identity: PeerIdentity?
    /// It showed a certificate of the authority.
    package var isVerified: Bool
    /// The certificate's subject, for logs; empty when the peer showed none.
    package var subject: String
    /// The certificate's serial number as a `RevocationList` has it; empty when the peer showed none.
    package var serial: String
    /// TLSv1.2 or TLSv1.3.
    package var version: String

    package init(
        identity: PeerIdentity?,
        isVerified: Bool,
        subject: String,
        serial: String,
        version: String
    ) {
        self.isVerified = isVerified
        self.identity = identity
        self.subject = subject
        self.serial = serial
        self.version = version
    }
}
