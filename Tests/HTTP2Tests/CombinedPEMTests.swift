import Foundation
import GrootTesting
import Testing

@testable import HTTP2

/// The gateway's files in the forms in which other tools write them.
struct CombinedPEMTests {
    @Test
    func aKeyIsFoundWhereverItStands() throws {
        let authority = try TestAuthority()
        let issued = try authority.issue("gateway", uris: ["groot://gateway/g1"])
        let certificate = try String(contentsOfFile: issued.certificate, encoding: .utf8)
        let key = try String(contentsOfFile: issued.key, encoding: .utf8)
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        let attributes = "Bag Attributes\n    friendlyName: gateway\nsubject=CN = gateway\n"
        for form in [
            certificate + key, key + certificate, attributes + key, parameters + key,
            attributes + certificate + parameters + key, (certificate + key).replacing("\n", with: "\r\n"),
        ] {
            let file = try authority.write("form.pem", form)
            for chain in [issued.certificate, form.contains("END CERTIFICATE") ? file : issued.certificate] {
                let configuration = TLSConfiguration(certificate: chain, key: file, authority: authority.certificate)
                #expect(throws: Never.self, "\(form.prefix(60))") { _ = try TLSContextSource(.server, configuration) }
            }
        }
    }
}
