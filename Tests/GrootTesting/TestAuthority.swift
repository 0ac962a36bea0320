import Foundation

/// A certificate authority of a test's own, in a temporary folder: real certificates made by the `openssl` command.
package final class TestAuthority: Sendable {
    /// PEM files of one holder.
    package struct Issued: Sendable {
        package var certificate: String
        package var key: String
    }

    /// The authority's certificate.
    package let certificate: String
    private let folder: TemporaryDirectory

    package init(_ name: String = "Test Authority") throws {
        folder = try TemporaryDirectory(prefix: "groot-tls")
        certificate = folder.url.appending(path: "authority.pem").path
        try Self.openssl(
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
                + ["-subj", "/CN=\(name)", "-keyout", "authority.key", "-out", "authority.pem"],
            in: folder.url
        )
    }

    /// Issues a certificate.
    ///
    /// - Parameters:
    ///   - uris: URIs among the alternative names, `groot://robot/r1` say.
    ///   - days: validity; negative for one that is expired already.
    package func issue(
        _ file: String,
        uris: [String] = [],
        hosts: [String] = ["DNS:localhost", "IP:127.0.0.1"],
        days: Int = 2
    ) throws -> Issued {
        let names = uris.map { "URI:\($0)" } + hosts
        let extensions = names.isEmpty ? "" : "subjectAltName=" + names.joined(separator: ",") + "\n"
        try Data(extensions.utf8).write(to: folder.url.appending(path: "\(file).ext"))
        try Self.openssl(
            ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(file)"]
                + ["-keyout", "\(file).key", "-out", "\(file).csr"],
            in: folder.url
        )
        try Self.openssl(
            ["x509", "-req", "-in", "\(file).csr", "-CA", "authority.pem", "-CAkey", "authority.key"]
                + ["-days", "\(days)", "-extfile", "\(file).ext", "-out", "\(file).pem"],
            in: folder.url
        )
        return Issued(
            certificate: folder.url.appending(path: "\(file).pem").path,
            key: folder.url.appending(path: "\(file).key").path
        )
    }

    /// Writes any text beside the certificates and returns its path.
    package func write(_ file: String, _ text: String) throws -> String {
        let url = folder.url.appending(path: file)
        try Data(text.utf8).write(to: url)
        return url.path
    }

    package func path(_ file: String) -> String { folder.url.appending(path: file).path }

    private static func openssl(_ arguments: [String], in folder: URL) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let text = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(text: String(decoding: text, as: UTF8.self))
        }
    }

    private struct Failure: Error {
        var text: String
    }
}
