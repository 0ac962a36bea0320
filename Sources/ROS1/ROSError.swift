/// What went wrong while speaking ROS, and what to do about it.
package struct ROSError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable, CaseIterable {
        /// Bytes from a peer do not form the message or document they claim to be.
        case malformed
        /// A length or count exceeds the configured limit.
        case tooLarge
        /// The peer answered, and said no.
        case refused
        /// Type or md5 of the two ends do not belong together.
        case typeMismatch
        /// The peer cannot be reached or the connection broke.
        case unreachable
        /// The peer did not answer in time.
        case timeout
        /// The name is not registered with the master.
        case notFound
        /// The caller used the node in a wrong way: bad name, not started, advertised twice.
        case invalidUse
        /// The node or master has been shut down.
        case shutDown
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
        guard let cause else { return "\(code.rawValue): \(message)" }
        return "\(code.rawValue): \(message) (\(cause))"
    }

    /// The error itself if it is one of ours, otherwise wrapped under `code`.
    static func wrapping(_ error: any Error, _ code: Code, _ message: @autoclosure () -> String) -> ROSError {
        if let error = error as? ROSError { return error }
        return ROSError(code, message(), cause: error)
    }
}
