import Crypto
import Foundation
import GrootCore
import SwiftASN1
import SystemPackage
import X509

/// The authority's directory. Every file can be read by OpenSSL and by a person.
///
///     authority.pem       certificate that every process gets as --tls-authority
///     authority.key       its key: never leaves this machine
///     issued/SERIAL.pem   every certificate ever signed; what `revoke`, `renew` and `list` go by
///     revoked.txt         serials that --tls-revoked refuses
///
/// A private key is created with mode 0600 and never written over; everything else is replaced atomically.
struct CertificateFolder {
    let url: URL

    var authorityFile: URL { url.appending(path: "authority.pem") }
    var authorityKeyFile: URL { url.appending(path: "authority.key") }
    var archive: URL { url.appending(path: "issued") }
    var revokedFile: URL { url.appending(path: "revoked.txt") }

    // MARK: Authority

    func create(_ authority: CertificateAuthority, key: P256.Signing.PrivateKey) throws {
        try makeDirectory(url)
        try makeDirectory(archive)
        try writeSecret(key.pemRepresentation, to: authorityKeyFile)
        try writeNew(try authority.certificate.serializeAsPEM().pemString, to: authorityFile)
        if !FileManager.default.fileExists(atPath: revokedFile.path) {
            try writeNew("# serial  identity  when (written by groot-gateway certs revoke)\n", to: revokedFile)
        }
    }

    func authority() throws -> CertificateAuthority {
        guard FileManager.default.fileExists(atPath: authorityFile.path) else {
            throw CertificatesError(.badFile, "no authority in \(url.path); make one with groot-gateway certs init")
        }
        let key: Certificate.PrivateKey
        do {
            key = try Certificate.PrivateKey(pemEncoded: try text(authorityKeyFile))
        } catch let error as CertificatesError {
            throw error
        } catch {
            throw CertificatesError(.badFile, "\(authorityKeyFile.path) is no private key", cause: error)
        }
        return try CertificateAuthority(certificate: try certificate(authorityFile), key: key)
    }

    // MARK: Issued certificates

    /// Everything ever signed, newest last.
    func issued() throws -> [IssuedCertificate] {
        let files: [URL]
        do {
            files = try FileManager.default.contentsOfDirectory(at: archive, includingPropertiesForKeys: nil)
        } catch {
            throw CertificatesError(.badFile, "cannot list \(archive.path)", cause: error)
        }
        return try files.filter { $0.pathExtension == "pem" }
            .map { try IssuedCertificate(try certificate($0)) }
            .sorted { ($0.certificate.notValidBefore, $0.serial) < ($1.certificate.notValidBefore, $1.serial) }
    }

    /// Keeps a new certificate, so that it can be revoked later.
    func archive(_ certificate: Certificate) throws {
        let serial = RevocationList.hexadecimal(certificate.serialNumber.bytes)
        try writeNew(try certificate.serializeAsPEM().pemString, to: archive.appending(path: "\(serial).pem"))
    }

    // MARK: Revocation

    func revoked() throws -> RevocationList {
        guard FileManager.default.fileExists(atPath: revokedFile.path) else { return RevocationList() }
        do {
            return try RevocationList(parsing: try text(revokedFile))
        } catch let error as RevocationListError {
            throw CertificatesError(.badFile, "\(revokedFile.path) \(error)")
        }
    }

    /// Adds lines to the deny list; readers see the old file or the new one, never half of it.
    func revoke(_ certificates: [IssuedCertificate], now: Date) throws {
        var lines = FileManager.default.fileExists(atPath: revokedFile.path) ? try text(revokedFile) : ""
        if !lines.isEmpty, !lines.hasSuffix("\n") { lines += "\n" }
        for certificate in certificates {
            lines += "\(certificate.serial)  \(certificate.identity.uri)  \(now.formatted(.iso8601))\n"
        }
        try replace(lines, at: revokedFile)
    }

    // MARK: Files

    func certificate(_ file: URL) throws -> Certificate {
        do {
            return try Certificate(pemEncoded: try text(file))
        } catch let error as CertificatesError {
            throw error
        } catch {
            throw CertificatesError(.badFile, "\(file.path) is no certificate in PEM", cause: error)
        }
    }

    func makeDirectory(_ directory: URL) throws {
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        } catch {
            throw CertificatesError(.cannotWrite, "cannot create \(directory.path)", cause: error)
        }
    }

    /// Creates a file that only its owner may read.
    func writeSecret(_ text: String, to file: URL) throws {
        try create(text, at: file, permissions: .ownerReadWrite)
    }

    /// Creates a file that everyone may read.
    func writeNew(_ text: String, to file: URL) throws {
        try create(text, at: file, permissions: [.ownerReadWrite, .groupRead, .otherRead])
    }

    /// Puts a new version in the place of a file.
    func replace(_ text: String, at file: URL) throws {
        do {
            try Data(text.utf8).write(to: file, options: .atomic)
        } catch {
            throw CertificatesError(.cannotWrite, "cannot write \(file.path)", cause: error)
        }
    }

    private func create(_ text: String, at file: URL, permissions: FilePermissions) throws {
        do {
            let descriptor = try FileDescriptor.open(
                FilePath(file.path),
                .writeOnly,
                options: [.create, .exclusiveCreate],
                permissions: permissions
            )
            try descriptor.closeAfter { _ = try descriptor.writeAll(text.utf8) }
        } catch Errno.fileExists {
            throw CertificatesError(.exists, "\(file.path) exists and is not written over; move it away first")
        } catch {
            throw CertificatesError(.cannotWrite, "cannot create \(file.path)", cause: error)
        }
    }

    private func text(_ file: URL) throws -> String {
        do {
            return try String(contentsOf: file, encoding: .utf8)
        } catch {
            throw CertificatesError(.badFile, "cannot read \(file.path)", cause: error)
        }
    }
}
