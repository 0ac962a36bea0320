/// What went wrong in an HTTP/2 endpoint, in words for the person who must act.
package struct HTTP2Error: Error, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// The address cannot be bound or reached.
        case address
        /// The session library refused: out of memory or a call that its state forbids.
        case session
        /// The connection is closed or takes no new streams.
        case connectionClosed
        /// The peer reset the stream.
        case streamReset
        /// The time given was over first.
        case timedOut
        /// The peer sent more than the caller was ready to take.
        case tooLarge
        /// TLS material cannot be used, or the handshake failed.
        case tls
    }

    package var code: Code
    package var message: String
    package var cause: (any Error)?
    /// The limiter that fired, if one did.
    var limit: HTTP2Limit?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String {
        if let cause { "\(message): \(cause)" } else { message }
    }
}
