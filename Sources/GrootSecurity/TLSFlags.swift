package import ArgumentParser

/// The TLS flags that worker and agent share.
package struct TLSFlags: ParsableArguments {
    @Option(help: "PEM file: this process's certificate, as groot-gateway certs issues it. Turns TLS on.")
    package var tlsCertificate: String?

    @Option(help: "PEM file: the certificate's key, readable by this process only.")
    package var tlsKey: String?

    @Option(help: "PEM file: the authority whose certificates are believed.")
    package var tlsAuthority: String?

    @Option(help: "Deny list of serial numbers, as groot-gateway certs revoke writes it; read again when it changes.")
    package var tlsRevoked: String?

    @Option(help: "Seconds between two looks at the TLS files, which may be renewed while the process runs.")
    package var tlsReload = 10

    package init() {}

    /// Nil without TLS.
    ///
    /// - Throws: `TLSError` when only some are given: half a TLS configuration must not end up as none.
    package func files() throws(TLSError) -> TLSFiles? {
        guard (1...3600).contains(tlsReload) else {
            throw TLSError(.usage, "--tls-reload \(tlsReload): expected 1 to 3600 seconds")
        }
        if let tlsCertificate, let tlsKey, let tlsAuthority {
            return TLSFiles(certificate: tlsCertificate, key: tlsKey, authority: tlsAuthority, revoked: tlsRevoked)
        }
        guard tlsCertificate == nil, tlsKey == nil, tlsAuthority == nil, tlsRevoked == nil else {
            throw TLSError(
                .usage,
                "--tls-certificate, --tls-key and --tls-authority belong together; give all three or none"
            )
        }
        return nil
    }
}
