import Foundation
import GrootCore
import SwiftASN1
import X509

/// Decides whether a peer's certificate is believed: signed by the authority, in its time, not revoked, of an expected
/// kind, and for the address that was dialled.
///
/// A value; a reload makes another one.
struct PeerVerifier: Sendable {
    var authorities: [Certificate]
    var revoked = RevocationList()

    /// What the side that asks expects of the other.
    struct Expectation: Sendable {
        /// A worker serves gateways only, an agent listens to gateways only.
        var kinds: Set<PeerIdentity.Kind>
        /// Host name or IP address that a client dialled; nil on servers, whose clients have none.
        var host: String?
    }

    /// Why a certificate is refused, for the log.
    struct Refusal: Error, CustomStringConvertible {
        var description: String
    }

    /// - Parameter chain: as presented, leaf first.
    /// - Returns: the validated chain and who the peer is.
    func verify(
        _ chain: [Certificate],
        _ expectation: Expectation
    ) async -> Result<(chain: [Certificate], identity: PeerIdentity), Refusal> {
        guard let leaf = chain.first else { return .failure(Refusal(description: "it showed no certificate")) }
        let serial = RevocationList.hexadecimal(leaf.serialNumber.bytes)
        let who = "certificate \(serial)"
        var verifier = Verifier(rootCertificates: CertificateStore(authorities)) {
            RFC5280Policy()
        }
        let intermediates = CertificateStore(chain.dropFirst())
        switch await verifier.validate(leaf: leaf, intermediates: intermediates) {
        case .couldNotValidate(let failures):
            let now = Date()
            let reason =
                leaf.notValidAfter < now
                ? "expired on \(leaf.notValidAfter.formatted(.iso8601))"
                : leaf.notValidBefore > now
                    ? "is not valid before \(leaf.notValidBefore.formatted(.iso8601)); compare the clocks"
                    : failures.isEmpty ? "is not of our authority" : "is not acceptable"
            return .failure(Refusal(description: "\(who) \(reason)"))
        case .validCertificate(let validated):
            guard !validated.contains(where: { revoked.contains(serialBytes: $0.serialNumber.bytes) }) else {
                return .failure(Refusal(description: "\(who) is revoked"))
            }
            guard let identity = Self.identity(of: leaf) else {
                return .failure(Refusal(description: "\(who) carries no identity such as groot://gateway/NAME"))
            }
            guard expectation.kinds.contains(identity.kind) else {
                let expected = expectation.kinds.map(\.rawValue).sorted().joined(separator: " or ")
                return .failure(Refusal(description: "\(who) is of \(identity), expected a \(expected)"))
            }
            if let host = expectation.host, await !isFor(host, leaf, intermediates) {
                return .failure(Refusal(description: "\(who) of \(identity) is not for \(host)"))
            }
            return .success((Array(validated), identity))
        }
    }

    static func identity(of certificate: Certificate) -> PeerIdentity? {
        // A certificate whose names cannot be parsed speaks for nobody.
        guard let names = try? certificate.extensions.subjectAlternativeNames else { return nil }
        return PeerIdentity(
            subjectAlternativeURIs: names.compactMap { name in
                if case .uniformResourceIdentifier(let uri) = name { uri } else { nil }
            }
        )
    }

    private func isFor(_ host: String, _ certificate: Certificate, _ intermediates: CertificateStore) async -> Bool {
        // A host is given as a name or as an address; the policy compares each with the names of its kind.
        var verifier = Verifier(rootCertificates: CertificateStore(authorities)) {
            RFC5280Policy()
            ServerIdentityPolicy(serverHostname: host, serverIP: host)
        }
        if case .validCertificate = await verifier.validate(leaf: certificate, intermediates: intermediates) {
            return true
        }
        return false
    }
}
