package import GrootCore
import SwiftASN1
import X509

extension TLSFiles {
    /// Whom the certificate speaks for; nil when it names nobody, or two.
    ///
    /// - Throws: `badFile` when it cannot be read.
    package func identity() throws(TLSError) -> PeerIdentity? {
        let text = String(decoding: try PEMFile(certificate).certificates(), as: UTF8.self)
        do {
            guard let leaf = try PEMDocument.parseMultiple(pemString: text).first else { return nil }
            return PeerVerifier.identity(of: try Certificate(pemDocument: leaf))
        } catch {
            throw TLSError(.badFile, "the certificate \(certificate) cannot be read", cause: error)
        }
    }
}
