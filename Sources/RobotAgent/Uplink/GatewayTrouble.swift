import GRPCCore

/// What a gateway's failure means to whoever set this agent up, and how a command ends by it. Pure.
///
/// TLS libraries say why a handshake failed in a name inside of a long text; what is not known here stays as it was said.
struct GatewayTrouble: Sendable {
    let code: AgentError.Code
    /// After "the gateway ".
    let sentence: String

    /// - Parameter isTLS: this agent shows a certificate.
    init(_ error: RPCError, isTLS: Bool) {
        let said = "\(error)"
        switch error.code {
        // Who asks is known, and may not.
        case .permissionDenied, .unauthenticated:
            code = .badCertificate
            sentence = "refuses this agent: \(error.message)"
        case .unavailable where !isTLS && said.contains(Self.endedAtOnce):
            code = .unavailable
            sentence =
                "ended the connection at once; if it wants TLS, name --tls-certificate, --tls-key and --tls-authority"
        case .unavailable:
            code = .unavailable
            let known = isTLS ? Self.alerts.first { said.contains($0.name) }?.meaning : nil
            sentence = known.map { "\($0) (docs/tls.md)" } ?? "does not answer"
        case .deadlineExceeded:
            code = .unavailable
            sentence = "does not answer"
        default:
            code = .unavailable
            sentence = "says: \(error.message)"
        }
    }

    private static let endedAtOnce = "before completing the HTTP/2 connection preface"

    private static let alerts: [(name: String, meaning: String)] = [
        ("ALERT_UNKNOWN_CA", "does not know the authority of this agent's certificate"),
        ("ALERT_CERTIFICATE_EXPIRED", "says that this agent's certificate has expired"),
        ("ALERT_CERTIFICATE_REVOKED", "says that this agent's certificate is revoked"),
        ("ALERT_CERTIFICATE_REQUIRED", "wants a certificate and got none"),
        ("ALERT_BAD_CERTIFICATE", "does not accept this agent's certificate"),
        ("ALERT_CERTIFICATE_UNKNOWN", "does not accept this agent's certificate"),
        ("ALERT_UNSUPPORTED_CERTIFICATE", "does not accept this agent's certificate"),
        ("ALERT_ACCESS_DENIED", "does not accept this agent's certificate"),
        ("CERTIFICATE_VERIFY_FAILED", "shows a certificate that --tls-authority does not vouch for"),
        ("WRONG_VERSION_NUMBER", "does not speak TLS; leave the --tls flags out, or set TLS up there"),
    ]
}
