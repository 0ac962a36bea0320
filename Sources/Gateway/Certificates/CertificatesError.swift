/// What keeps a `certs` command from doing its work.
struct CertificatesError: Error, CustomStringConvertible {
    enum Code: Sendable {
        /// A flag that makes no sense.
        case usage
        /// A file is there already and would be lost.
        case exists
        /// A file is missing or is not what it should be.
        case badFile
        /// A file or folder cannot be written.
        case cannotWrite
        /// Nothing in the archive fits.
        case unknown
    }

    var code: Code
    var message: String
    var cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    var description: String {
        if let cause { "\(message): \(cause)" } else { message }
    }
}
