import Crypto
import Foundation
import GrootCore
import SwiftASN1
import X509

/// The work of the `certs` commands on one authority's directory. Single-threaded, one command a process.
///
/// `now` is a parameter, so that tests can issue certificates that have expired.
struct CertificateCommands {
    let folder: CertificateFolder
    let now: Date

    /// Files of one machine, ready to be copied there as a whole.
    struct MachineFiles {
        let directory: URL

        var certificate: URL { directory.appending(path: "certificate.pem") }
        var key: URL { directory.appending(path: "key.pem") }
        var authority: URL { directory.appending(path: "authority.pem") }
    }

    func initialise(name: String, days: Int) throws {
        let (authority, key) = try CertificateAuthority.create(name: name, days: days, now: now)
        try folder.create(authority, key: key)
    }

    /// Signs the first certificate of an identity and writes it with a fresh key.
    @discardableResult
    func issue(_ request: CertificateAuthority.Request, to files: MachineFiles) throws -> IssuedCertificate {
        try requireReachable(request)
        let authority = try folder.authority()
        let key = P256.Signing.PrivateKey()
        let certificate = try authority.issue(request, for: Certificate.PublicKey(key.publicKey), now: now)
        try folder.makeDirectory(files.directory)
        // The key first: when it is there already, nothing was signed yet.
        try folder.writeSecret(key.pemRepresentation, to: files.key)
        try folder.archive(certificate)
        try folder.writeNew(try certificate.serializeAsPEM().pemString, to: files.certificate)
        try folder.replace(try authority.certificate.serializeAsPEM().pemString, at: files.authority)
        return try IssuedCertificate(certificate)
    }

    /// Signs the next certificate of an identity: same names, and the same key unless a new one is asked for.
    ///
    /// With the same key only one file changes, so a process never sees a pair that does not fit; the key need not
    /// even be on this machine.
    func renew(
        _ identity: PeerIdentity,
        days: Int?,
        newKey: Bool,
        files: MachineFiles
    ) throws -> (new: IssuedCertificate, old: IssuedCertificate) {
        let authority = try folder.authority()
        let revoked = try folder.revoked()
        let mine = try folder.issued().filter { $0.identity == identity }
        guard let old = mine.last(where: { !revoked.contains(serial: $0.serial) }) else {
            throw CertificatesError(
                .unknown,
                mine.isEmpty
                    ? "no certificate was ever issued to \(identity); use certs issue"
                    : "every certificate of \(identity) is revoked; move \(files.directory.path) away and use certs issue"
            )
        }
        let request = CertificateAuthority.Request(
            identity: identity,
            dnsNames: old.dnsNames,
            addresses: old.addresses,
            days: days ?? old.days
        )
        let key = newKey ? P256.Signing.PrivateKey() : nil
        let publicKey = key.map { Certificate.PublicKey($0.publicKey) } ?? old.certificate.publicKey
        let certificate = try authority.issue(request, for: publicKey, now: now)
        try folder.archive(certificate)
        try folder.makeDirectory(files.directory)
        if let key {
            let next = files.key.appendingPathExtension("new")
            try folder.writeSecret(key.pemRepresentation, to: next)
            // The moment without a key does no harm: a process that looks keeps the pair that it has.
            if FileManager.default.fileExists(atPath: files.key.path) {
                try FileManager.default.removeItem(at: files.key)
            }
            try FileManager.default.moveItem(at: next, to: files.key)
        }
        try folder.replace(try certificate.serializeAsPEM().pemString, at: files.certificate)
        return (try IssuedCertificate(certificate), old)
    }

    /// Which certificates a revocation is about.
    enum Victim {
        case identity(PeerIdentity)
        case serial(String)
    }

    /// Puts every certificate of an identity, or one serial, on the deny list.
    ///
    /// - Returns: what was added; empty when all of it is on the list already.
    func revoke(_ victim: Victim) throws -> [IssuedCertificate] {
        let revoked = try folder.revoked()
        let issued = try folder.issued()
        let meant: [IssuedCertificate]
        switch victim {
        case .identity(let identity):
            meant = issued.filter { $0.identity == identity }
            guard !meant.isEmpty else {
                throw CertificatesError(.unknown, "no certificate was ever issued to \(identity)")
            }
        case .serial(let text):
            guard let serial = RevocationList.normalised(serial: text) else {
                throw CertificatesError(.usage, "\"\(text)\" is no serial number; expected hexadecimal digits")
            }
            meant = issued.filter { $0.serial == serial }
            guard !meant.isEmpty else {
                throw CertificatesError(.unknown, "this authority never issued a certificate with serial \(serial)")
            }
        }
        let new = meant.filter { !revoked.contains(serial: $0.serial) }
        if !new.isEmpty { try folder.revoke(new, now: now) }
        return new
    }

    /// Others connect to gateways and workers and check the address that they dialled.
    private func requireReachable(_ request: CertificateAuthority.Request) throws {
        switch request.identity.kind {
        case .gateway, .worker:
            guard request.dnsNames.isEmpty, request.addresses.isEmpty else { return }
            throw CertificatesError(
                .usage,
                "a \(request.identity.kind.rawValue) needs the --dns name or --ip address that others reach it at"
            )
        case .robot, .operator: return
        }
    }
}
