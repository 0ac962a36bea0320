/// The PEM files of one process: who it is, how it proves that, whom it believes.
package struct TLSFiles: Sendable, Equatable {
    package var certificate: String
    package var key: String
    package var authority: String
    /// Deny list (`RevocationList`); nil believes every certificate of the authority until it expires.
    package var revoked: String?

    package init(certificate: String, key: String, authority: String, revoked: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
        self.revoked = revoked
    }
}

/// What is wrong with the files or with a peer.
package struct TLSError: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// Flags that do not fit together.
        case usage
        /// A file cannot be read or is not what it should be.
        case badFile
    }

    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String {
        if let cause { "\(message): \(cause)" } else { message }
    }
}
