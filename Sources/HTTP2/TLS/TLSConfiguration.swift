import Foundation

/// Where an endpoint's TLS material lies: PEM files.
package struct TLSConfiguration: Sendable, Equatable {
    /// Who we are, to peers: the certificate, then its intermediates if there are any. Servers must have one.
    package var certificate: String?
    /// The key of `certificate`, without a pass phrase.
    package var key: String?
    /// Certificates that peers' certificates must descend from. A server with one demands a certificate of its clients
    /// (mTLS); a client always has one.
    package var authority: String?
    /// A `RevocationList`: certificates of the authority that are refused nevertheless.
    package var revoked: String?

    package init(
        certificate: String? = nil,
        key: String? = nil,
        authority: String? = nil,
        revoked: String? = nil
    ) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
        self.revoked = revoked
    }
}

/// The bytes of the files of a `TLSConfiguration`, read once, so that a context is made of one consistent set and a
/// change is noticed by comparing.
struct TLSMaterial: Equatable {
    struct File: Equatable {
        var path: String
        var bytes: [UInt8]
    }

    var certificate: File?
    var key: File?
    var authority: File?
    var revoked: File?

    init(_ configuration: TLSConfiguration) throws(HTTP2Error) {
        certificate = try Self.read(configuration.certificate, "certificate")
        key = try Self.read(configuration.key, "key")
        authority = try Self.read(configuration.authority, "authority")
        revoked = try Self.read(configuration.revoked, "revocation list")
        if revoked != nil, authority == nil {
            throw HTTP2Error(.tls, "a revocation list says nothing without an authority: name the authority file too")
        }
        if let certificate, key == nil {
            throw HTTP2Error(.tls, "the certificate \(certificate.path) needs its key: name the key file too")
        }
        if let key, certificate == nil {
            throw HTTP2Error(.tls, "the key \(key.path) needs its certificate: name the certificate file too")
        }
    }

    private static func read(_ path: String?, _ what: String) throws(HTTP2Error) -> File? {
        guard let path else { return nil }
        do {
            return File(path: path, bytes: [UInt8](try Data(contentsOf: URL(filePath: path))))
        } catch {
            let reason = (error as NSError).userInfo[NSUnderlyingErrorKey].map { "\($0)" } ?? error.localizedDescription
            throw HTTP2Error(.tls, "the \(what) file \(path) cannot be read: \(reason)")
        }
    }
}
