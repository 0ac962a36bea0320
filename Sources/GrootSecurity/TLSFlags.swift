package import ArgumentParser

/// The TLS flags that worker and agent share.
package struct TLSFlags: ParsableArguments {
    @Option(help: .init("This process's certificate, PEM; turns TLS on.", valueName: "file"))
    package var tlsCertificate: String?

    @Option(help: .init("Its key, PEM, readable by this process only.", valueName: "file"))
    package var tlsKey: String?

    @Option(help: .init("Whose certificates are believed, PEM.", valueName: "file"))
    package var tlsAuthority: String?

    @Option(help: .init("Deny list of groot-gateway certs revoke.", valueName: "file"))
    package var tlsRevoked: String?

    @Option(help: .init("Seconds between looks at these files.", valueName: "s"))
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
