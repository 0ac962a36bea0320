import Foundation
import GrootCore
import GrootTesting
import HTTP2
import Testing

/// Bad files are refused with words that name the file and what is wrong with it; a reload takes good ones only.
@Suite(.timeLimit(.minutes(1)))
struct TLSMaterialTests {
    @Test
    func whatIsWrongWithWhichFile() throws {
        let authority = try TestAuthority()
        let good = try authority.issue("good")
        let other = try authority.issue("other")
        let expired = try authority.issue("expired", days: -1)
        let text = try authority.write("text.pem", "this is no certificate\n")
        let broken = try authority.write(
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        )

        func problem(_ side: TLSContextSource.Side, _ certificate: String?, _ key: String?, _ ca: String?) -> String {
            do throws(HTTP2Error) {
                _ = try TLSContextSource(side, TLSConfiguration(certificate: certificate, key: key, authority: ca))
                return "accepted"
            } catch {
                return error.code == .tls ? error.message : "another code: \(error.code)"
            }
        }
        #expect(problem(.server, good.certificate, good.key, authority.certificate) == "accepted")
        #expect(problem(.client, nil, nil, authority.certificate) == "accepted")
        #expect(problem(.server, "/no/such.pem", good.key, nil).contains("/no/such.pem cannot be read"))
        #expect(problem(.server, good.certificate, nil, nil).contains("name the key file too"))
        #expect(problem(.server, nil, good.key, nil).contains("name the certificate file too"))
        #expect(problem(.server, nil, nil, nil).contains("needs a certificate"))
        #expect(problem(.client, nil, nil, nil).contains("needs an authority"))
        #expect(problem(.server, text, good.key, nil).contains("\(text) holds no PEM certificate"))
        #expect(problem(.server, broken, good.key, nil).contains("\(broken) holds no PEM certificate"))
        #expect(problem(.server, good.certificate, text, nil).contains("\(text) holds no PEM private key"))
        #expect(problem(.server, good.certificate, other.key, nil).contains("\(other.key) does not belong to"))
        #expect(problem(.server, expired.certificate, expired.key, nil).contains("expired 1 days ago; renew it"))
        #expect(problem(.client, nil, nil, text).contains("\(text) holds no PEM certificate"))
    }

    @Test
    func aReloadKeepsTheOldOneWhenTheNewOneIsBad() throws {
        let authority = try TestAuthority()
        let first = try authority.issue("server")
        let configuration = TLSConfiguration(certificate: first.certificate, key: first.key)
        let source = try TLSContextSource(.server, configuration)
        #expect(try !source.reload(), "nothing changed")
        let left = try #require(source.timeUntilExpiry(at: .now()))
        #expect(left > .seconds(86_400) && left < .seconds(2 * 86_400 + 1))
        let another = try authority.issue("another")
        try Data(contentsOf: URL(filePath: another.certificate)).write(to: URL(filePath: first.certificate))
        let error = #expect(throws: HTTP2Error.self) { try source.reload() }
        #expect(error?.message.contains("does not belong to") == true)
        try Data(contentsOf: URL(filePath: another.key)).write(to: URL(filePath: first.key))
        #expect(try source.reload())
    }
}
