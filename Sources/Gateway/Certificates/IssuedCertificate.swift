import Foundation
import GrootCore
import SwiftASN1
import X509

/// A certificate of the archive with what the commands ask it.
struct IssuedCertificate {
    let certificate: Certificate
    let identity: PeerIdentity
    let dnsNames: [String]
    let addresses: [ServerAddress]

    /// - Throws: `CertificatesError` when it is none of this fleet's.
    init(_ certificate: Certificate) throws {
        var uris: [String] = []
        var dnsNames: [String] = []
        var addresses: [ServerAddress] = []
        for name in try certificate.extensions.subjectAlternativeNames ?? SubjectAlternativeNames() {
            switch name {
            case .uniformResourceIdentifier(let uri): uris.append(uri)
            case .dnsName(let name): dnsNames.append(name)
            case .ipAddress(let octets): ServerAddress(bytes: octets.bytes).map { addresses.append($0) }
            default: break
            }
        }
        guard let identity = PeerIdentity(subjectAlternativeURIs: uris) else {
            throw CertificatesError(.badFile, "the certificate carries no single identity such as groot://robot/r1")
        }
        self.certificate = certificate
        self.identity = identity
        self.dnsNames = dnsNames
        self.addresses = addresses
    }

    var serial: String { RevocationList.hexadecimal(certificate.serialNumber.bytes) }
    var notAfter: Date { certificate.notValidAfter }

    /// Whole days of its validity, for a renewal that asks for none.
    var days: Int {
        max(1, Int((certificate.notValidAfter.timeIntervalSince(certificate.notValidBefore) / 86_400).rounded()))
    }
}
