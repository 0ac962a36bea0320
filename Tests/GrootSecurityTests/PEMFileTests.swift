import Foundation
import GrootCore
import GrootTesting
import Logging
import Testing

@testable import GrootSecurity

/// Certificates and keys in any place of their files, as other tools write them.
struct PEMFileTests {
    private let authority: TestAuthority
    private let issued: TestAuthority.Issued

    init() throws {
        authority = try TestAuthority()
        issued = try authority.issue("worker", uris: ["groot://worker/w1"])
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func tls(certificate: String, key: String) throws(TLSError) -> FleetTLS {
        try FleetTLS(
            TLSFiles(certificate: certificate, key: key, authority: authority.certificate),
            reloadEvery: .seconds(10),
            process: "test",
            metrics: MetricsRegistry(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test
    func aKeyIsFoundWhereverItStands() throws {
        let (certificate, key) = (try text(issued.certificate), try text(issued.key))
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        let attributes = "Bag Attributes\n    friendlyName: W\u{00E4}chter\nsubject=CN = worker\n"
        let forms = [
            "behind the certificate": certificate + key, "before the certificate": key + certificate,
            "behind text": attributes + key, "behind the parameters": parameters + key,
            "with Windows' line ends": (attributes + key).replacing("\n", with: "\r\n"),
            "behind all of it": attributes + certificate + attributes + parameters + "\n\n" + key + attributes,
            "behind half a block": "-----BEGIN CERTIFICATE-----\nMIIB\n" + key,
            "with spaces behind the lines": key.replacing("\n", with: "  \n"),
        ]
        for (what, form) in forms {
            let file = try authority.write("form.pem", form)
            #expect(throws: Never.self, "\(what)") { _ = try tls(certificate: issued.certificate, key: file) }
            guard form.contains("END CERTIFICATE") else { continue }
            #expect(throws: Never.self, "\(what), both from one file") { _ = try tls(certificate: file, key: file) }
        }
    }

    @Test
    func whatIsNotThereIsNamed() throws {
        func problem(_ key: String) throws -> String {
            let file = try authority.write("bad.pem", key)
            let error = #expect(throws: TLSError.self) { _ = try tls(certificate: issued.certificate, key: file) }
            return error?.description ?? ""
        }
        #expect(try problem("").contains("holds no private key in PEM"))
        #expect(try problem(try text(issued.certificate)).contains("holds no private key in PEM; it holds CERTIFICATE"))
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
        #expect(try problem(sealed).contains("has a pass phrase"))
        let old =
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nMIIB\n-----END EC PRIVATE KEY-----\n"
        #expect(try problem(old).contains("has a pass phrase"))
        #expect(
            try problem("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n").contains("cannot be used")
        )
        // The key of another certificate.
        let other = try authority.issue("other", uris: ["groot://worker/w2"])
        #expect(try problem(try text(other.key)).contains("cannot be used"))
    }

    @Test
    func nothingButTheBlockIsTaken() throws {
        let file = PEMFile(
            "x",
            text:
                "a\n-----BEGIN A-----\nb\n-----END B-----\n-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\nd"
        )
        #expect(
            String(decoding: try file.certificates(), as: UTF8.self)
                == "-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n"
        )
        for text in [
            "-----BEGIN -----\n", "-----BEGIN", "-----END CERTIFICATE-----", "-----BEGIN X----------END X-----",
        ] {
            #expect(throws: TLSError.self) { _ = try PEMFile("x", text: text).certificates() }
        }
    }
}
