import Foundation
import GrootCore
import GrootTesting
import Testing

@testable import Gateway

/// A scratch authority and OpenSSL's opinion of what it signs.
private struct Authority {
    let scratch: TemporaryDirectory
    let folder: CertificateFolder

    init(now: Date = Date()) throws {
        scratch = try TemporaryDirectory(prefix: "groot-certs")
        folder = CertificateFolder(url: scratch.url.appending(path: "authority"))
        try commands(now).initialise(name: "Test Fleet", days: 3650)
    }

    func commands(_ now: Date = Date()) -> CertificateCommands { CertificateCommands(folder: folder, now: now) }

    func files(_ identity: PeerIdentity) -> CertificateCommands.MachineFiles {
        .init(directory: scratch.url.appending(path: "\(identity.kind.rawValue)-\(identity.name)"))
    }

    @discardableResult
    func issue(
        _ identity: PeerIdentity,
        dns: [String] = [],
        addresses: [String] = [],
        days: Int = 30,
        now: Date = Date()
    ) throws -> IssuedCertificate {
        let request = CertificateAuthority.Request(
            identity: identity,
            dnsNames: dns,
            addresses: addresses.compactMap { ServerAddress($0) },
            days: days
        )
        return try commands(now).issue(request, to: files(identity))
    }

    /// Standard output and error of `openssl`, and whether it was content.
    func openssl(_ arguments: String...) throws -> (isContent: Bool, text: String) {
        try openssl(arguments)
    }

    private func openssl(_ arguments: [String]) throws -> (isContent: Bool, text: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus == 0, String(decoding: output, as: UTF8.self))
    }

    func verify(_ file: URL, _ more: String...) throws -> (isContent: Bool, text: String) {
        try openssl(["verify", "-x509_strict", "-CAfile", folder.authorityFile.path] + more + [file.path])
    }

    func permissions(_ file: URL) throws -> Int {
        try #require(
            try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
        )
    }
}

struct CertificateTests {
    private let robot = PeerIdentity(.robot, "r1")
    private let worker = PeerIdentity(.worker, "gpu1")

    @Test func openSSLAgreesWithEveryCertificate() throws {
        let authority = try Authority()
        try authority.issue(robot)
        try authority.issue(worker, dns: ["gpu1.lab"], addresses: ["127.0.0.1", "fd00::7"])
        for (identity, purpose) in [(robot, "sslclient"), (worker, "sslserver"), (worker, "sslclient")] {
            let verdict = try authority.verify(authority.files(identity).certificate, "-purpose", purpose)
            #expect(verdict.isContent, "\(verdict.text)")
        }
        let file = authority.files(worker).certificate
        for name in [["-verify_hostname", "gpu1.lab"], ["-verify_ip", "127.0.0.1"], ["-verify_ip", "fd00::7"]] {
            #expect(try authority.verify(file, name[0], name[1]).isContent, "\(name)")
        }
        #expect(try !authority.verify(file, "-verify_hostname", "gpu2.lab").isContent)
        let text = try authority.openssl("x509", "-in", file.path, "-noout", "-text").text
        #expect(text.contains("URI:groot://worker/gpu1"))
        #expect(text.contains("prime256v1"))
        #expect(text.contains("CA:FALSE"))
    }

    @Test func theKeyBelongsToTheCertificateAndToItsOwnerOnly() throws {
        let authority = try Authority()
        try authority.issue(robot)
        let files = authority.files(robot)
        let inKey = try authority.openssl("pkey", "-in", files.key.path, "-pubout").text
        let inCertificate = try authority.openssl("x509", "-in", files.certificate.path, "-noout", "-pubkey").text
        #expect(inKey == inCertificate)
        #expect(inKey.contains("BEGIN PUBLIC KEY"))
        #expect(try authority.permissions(files.key) == 0o600)
        #expect(try authority.permissions(authority.folder.authorityKeyFile) == 0o600)
        #expect(try authority.permissions(files.certificate) == 0o644)
        #expect(
            try String(contentsOf: files.authority, encoding: .utf8)
                == String(contentsOf: authority.folder.authorityFile, encoding: .utf8)
        )
    }

    @Test func nothingIsWrittenOver() throws {
        let authority = try Authority()
        try authority.issue(robot)
        let before = try Data(contentsOf: authority.files(robot).key)
        #expect(throws: CertificatesError.self) { try authority.issue(robot) }
        #expect(throws: CertificatesError.self) { try authority.commands().initialise(name: "Other", days: 1) }
        #expect(try Data(contentsOf: authority.files(robot).key) == before)
        #expect(try authority.folder.issued().count == 1)
    }

    @Test func anAuthorityDoesNotSignWhatOutlivesItOrCannotBeReached() throws {
        let authority = try Authority()
        #expect(throws: CertificatesError.self) { try authority.issue(robot, days: 4000) }
        #expect(throws: CertificatesError.self) { try authority.issue(worker) }
        #expect(try authority.folder.issued().isEmpty)
    }

    @Test func renewalKeepsNamesAndKeySoThatOnlyOneFileChanges() throws {
        let authority = try Authority()
        let old = try authority.issue(worker, dns: ["gpu1.lab"], addresses: ["10.0.0.7"])
        let files = authority.files(worker)
        let key = try Data(contentsOf: files.key)
        let later = Date() + 20 * 86_400
        let (new, replaced) = try authority.commands(later).renew(worker, days: nil, newKey: false, files: files)
        #expect(replaced.serial == old.serial)
        #expect(new.serial != old.serial)
        #expect(new.dnsNames == ["gpu1.lab"])
        #expect(new.addresses == old.addresses)
        #expect(new.days == 30)
        #expect(try Data(contentsOf: files.key) == key)
        #expect(try authority.folder.certificate(files.certificate) == new.certificate)
        // Nine days after the old one ended the new one still holds.
        let attime = "\(Int(old.notAfter.timeIntervalSince1970) + 9 * 86_400)"
        #expect(try authority.verify(files.certificate, "-attime", attime).isContent)
    }

    @Test func renewalWithANewKeyChangesBothFiles() throws {
        let authority = try Authority()
        try authority.issue(robot)
        let files = authority.files(robot)
        let before = try Data(contentsOf: files.key)
        _ = try authority.commands().renew(robot, days: 7, newKey: true, files: files)
        #expect(try Data(contentsOf: files.key) != before)
        #expect(try authority.permissions(files.key) == 0o600)
        let inKey = try authority.openssl("pkey", "-in", files.key.path, "-pubout").text
        #expect(try authority.openssl("x509", "-in", files.certificate.path, "-noout", "-pubkey").text == inKey)
    }

    @Test func revocationCoversEveryCertificateOfAnIdentityAndNoOther() throws {
        let authority = try Authority()
        let first = try authority.issue(robot)
        let other = try authority.issue(worker, dns: ["gpu1.lab"])
        let files = authority.files(robot)
        let (second, _) = try authority.commands().renew(robot, days: nil, newKey: true, files: files)
        let revoked = try authority.commands().revoke(.identity(robot))
        #expect(Set(revoked.map(\.serial)) == [first.serial, second.serial])
        let list = try authority.folder.revoked()
        #expect(list.contains(serial: first.serial) && list.contains(serial: second.serial))
        #expect(!list.contains(serial: other.serial))
        #expect(try authority.commands().revoke(.identity(robot)).isEmpty)
        // A revoked identity is not renewed by mistake.
        #expect(throws: CertificatesError.self) {
            try authority.commands().renew(robot, days: nil, newKey: false, files: files)
        }
        // By serial as OpenSSL prints it.
        let printed = try authority.openssl(
            "x509",
            "-in",
            authority.files(worker).certificate.path,
            "-noout",
            "-serial"
        ).text
        let serial = try #require(printed.split(whereSeparator: { "=\n".contains($0) }).last)
        #expect(try authority.commands().revoke(.serial(String(serial))).map(\.serial) == [other.serial])
        #expect(throws: CertificatesError.self) { try authority.commands().revoke(.serial("beef")) }
    }

    @Test func whatCannotBeUsedIsNamed() throws {
        let authority = try Authority()
        try Data("nonsense".utf8).write(to: authority.folder.revokedFile)
        #expect { try authority.folder.revoked() } throws: { "\($0)".contains("revoked.txt line 1: \"nonsense\"") }
        try Data("nonsense".utf8).write(to: authority.folder.authorityFile)
        #expect { try authority.issue(robot) } throws: { "\($0)".contains("authority.pem is no certificate") }
        let empty = CertificateFolder(url: authority.scratch.url.appending(path: "nothing"))
        #expect { try empty.authority() } throws: { "\($0)".contains("certs init") }
    }

    @Test(arguments: [
        "robot.lab": true, "*.lab": true, "a_b": false, "": false, "-a": false, "*": false, "a..b": false,
    ])
    func hostNames(name: String, isUsable: Bool) {
        #expect(DNSName.isUsable(name) == isUsable)
    }
}
