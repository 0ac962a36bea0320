import ArgumentParser
import Crypto
import Foundation
import GrootCore
import SwiftASN1
import Testing
import X509

@testable import GrootSecurity

/// Who is believed and who is not, with the reason that ends up in the log.
struct PeerVerifierTests {
    private static let day: TimeInterval = 86_400

    /// An authority that signs whatever a test wants.
    private struct Authority {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificate: Certificate

        init(_ name: String = "authority") throws {
            certificate = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: key.publicKey,
                notValidBefore: Date() - 400 * day,
                notValidAfter: Date() + 400 * day,
                issuer: try DistinguishedName { CommonName(name) },
                subject: try DistinguishedName { CommonName(name) },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true))
                },
                issuerPrivateKey: key
            )
        }

        func sign(_ names: [GeneralName], from: TimeInterval = -1, to: TimeInterval = 30) throws -> Certificate {
            try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PrivateKey(P256.Signing.PrivateKey()).publicKey,
                notValidBefore: Date() + from * day,
                notValidAfter: Date() + to * day,
                issuer: certificate.subject,
                subject: try DistinguishedName { CommonName("peer") },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    SubjectAlternativeNames(names)
                },
                issuerPrivateKey: key
            )
        }
    }

    private let fleet: Authority
    private let gateway: [GeneralName] = [
        .uniformResourceIdentifier("groot://gateway/g1"), .dnsName("gateway.site"),
        .ipAddress(ASN1OctetString(contentBytes: [10, 0, 0, 1])),
    ]

    init() throws {
        fleet = try Authority()
    }

    /// "" when believed, else the reason.
    private func verdict(
        _ leaf: Certificate?,
        kinds: Set<PeerIdentity.Kind> = [.gateway],
        host: String? = nil,
        revoked: RevocationList = RevocationList()
    ) async -> String {
        let verifier = PeerVerifier(authorities: [fleet.certificate], revoked: revoked)
        switch await verifier.verify(leaf.map { [$0] } ?? [], .init(kinds: kinds, host: host)) {
        case .success(let peer): return peer.chain.last == fleet.certificate ? "" : "no chain to the authority"
        case .failure(let refusal): return refusal.description
        }
    }

    @Test func aGatewayIsBelievedUnderTheNamesThatItCarries() async throws {
        let certificate = try fleet.sign(gateway)
        for host in [nil, "gateway.site", "10.0.0.1"] { #expect(await verdict(certificate, host: host) == "") }
        for host in ["other.site", "10.0.0.2", "site"] {
            #expect(await verdict(certificate, host: host).hasSuffix("of gateway/g1 is not for \(host)"))
        }
    }

    @Test func anotherKindIsNotBelieved() async throws {
        let robot = try fleet.sign([.uniformResourceIdentifier("groot://robot/r1"), .dnsName("gateway.site")])
        #expect(await verdict(robot, host: "gateway.site").hasSuffix("is of robot/r1, expected a gateway"))
        #expect(await verdict(robot, kinds: [.robot, .operator]) == "")
    }

    @Test func aCertificateThatNamesNobodyOrTwoIsNotBelieved() async throws {
        for uris in [[], ["groot://gateway/g1", "groot://gateway/g2"], ["https://gateway/g1"]] {
            let certificate = try fleet.sign(uris.map { .uniformResourceIdentifier($0) } + [.dnsName("gateway.site")])
            #expect(await verdict(certificate).contains("carries no identity"))
        }
        #expect(await verdict(nil) == "it showed no certificate")
    }

    @Test func timeAndAuthorityCount() async throws {
        #expect(await verdict(try fleet.sign(gateway, from: -30, to: -1)).contains("expired on"))
        #expect(await verdict(try fleet.sign(gateway, from: 1, to: 30)).contains("compare the clocks"))
        // The same name on another key is another authority.
        let stranger = try Authority()
        #expect(await verdict(try stranger.sign(gateway)).contains("not of our authority"))
        #expect(await verdict(stranger.certificate) != "")
    }

    @Test func aRevokedCertificateIsNotBelieved() async throws {
        let certificate = try fleet.sign(gateway)
        let serial = RevocationList.hexadecimal(certificate.serialNumber.bytes)
        let list = try RevocationList(parsing: "\(serial) groot://gateway/g1\n")
        #expect(await verdict(certificate, revoked: list).hasSuffix("is revoked"))
        #expect(await verdict(try fleet.sign(gateway), revoked: list) == "")
    }
}

struct TLSFlagsTests {
    @Test func halfATLSConfigurationIsNone() throws {
        #expect(try TLSFlags.parse([]).files() == nil)
        let all = ["--tls-certificate", "c", "--tls-key", "k", "--tls-authority", "a"]
        #expect(try TLSFlags.parse(all).files() == TLSFiles(certificate: "c", key: "k", authority: "a"))
        for left in [Array(all[2...]), Array(all[..<4]), ["--tls-revoked", "r"], all + ["--tls-reload", "0"]] {
            #expect(throws: TLSError.self) { try TLSFlags.parse(left).files() }
        }
    }
}
