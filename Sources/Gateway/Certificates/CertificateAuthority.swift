import Crypto
import Foundation
import GrootCore
import SwiftASN1
import X509

/// The fleet's private authority: a self-signed certificate and the key that signs everyone else's.
///
/// ECDSA over P-256 throughout: every TLS library in the fleet has it in hardware-friendly form and a signature costs a
/// fraction of a millisecond. Owned by one command; no state besides the two values.
struct CertificateAuthority {
    let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Clocks of machines differ; a certificate that starts this much in the past works at once everywhere.
    static let backdating: TimeInterval = 5 * 60
    static let defaultDays = 3650
    static let defaultIssuedDays = 180

    /// What a new certificate says.
    struct Request {
        var identity: PeerIdentity
        var dnsNames: [String] = []
        var addresses: [ServerAddress] = []
        var days = CertificateAuthority.defaultIssuedDays
    }

    init(certificate: Certificate, key: Certificate.PrivateKey) throws(CertificatesError) {
        guard certificate.publicKey == key.publicKey else {
            throw CertificatesError(.badFile, "the authority's key does not belong to its certificate")
        }
        self.certificate = certificate
        self.key = key
    }

    /// A new authority that may sign end certificates and nothing below them.
    static func create(name: String, days: Int, now: Date) throws -> (CertificateAuthority, P256.Signing.PrivateKey) {
        let secret = P256.Signing.PrivateKey()
        let key = Certificate.PrivateKey(secret)
        let subject = try DistinguishedName {
            OrganizationName(name)
            CommonName("\(name) authority")
        }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: key.publicKey,
            notValidBefore: now - backdating,
            notValidAfter: now + TimeInterval(days) * 86_400,
            issuer: subject,
            subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: key.publicKey)
            },
            issuerPrivateKey: key
        )
        return (try CertificateAuthority(certificate: certificate, key: key), secret)
    }

    /// Signs a certificate that both sides of a connection may show; the URI among its names says who it is.
    ///
    /// - Throws: `CertificatesError` when it would outlive the authority.
    func issue(_ request: Request, for publicKey: Certificate.PublicKey, now: Date) throws -> Certificate {
        let end = now + TimeInterval(request.days) * 86_400
        guard end <= certificate.notValidAfter else {
            throw CertificatesError(
                .usage,
                """
                a certificate of \(request.days) days would outlive its authority, which ends on \
                \(certificate.notValidAfter.formatted(.iso8601)); give fewer --days or make a new authority
                """
            )
        }
        let names: [GeneralName] =
            [.uniformResourceIdentifier(request.identity.uri)] + request.dnsNames.map { .dnsName($0) }
            + request.addresses.map { .ipAddress(ASN1OctetString(contentBytes: $0.bytes[...])) }
        let subject = try DistinguishedName {
            CommonName(request.identity.description)
        }
        return try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: publicKey,
            notValidBefore: max(now - Self.backdating, certificate.notValidBefore),
            notValidAfter: end,
            issuer: certificate.subject,
            subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectAlternativeNames(names)
                SubjectKeyIdentifier(hash: publicKey)
                AuthorityKeyIdentifier(keyIdentifier: try certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
            },
            issuerPrivateKey: key
        )
    }
}
