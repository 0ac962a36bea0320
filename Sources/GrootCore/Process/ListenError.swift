/// A listener that cannot be opened: the address is taken, not on this machine (yet), or not permitted.
///
/// The process ends with `ProcessExit.cannotListen`, so that whoever supervises it tries again: at boot an address may
/// come later than the service.
package struct ListenError: Error, CustomStringConvertible {
    /// What would have listened: "the admin listener".
    package var listener: String
    package var address: String
    package var cause: (any Error)?

    package init(_ listener: String, on address: String, cause: (any Error)? = nil) {
        self.listener = listener
        self.address = address
        self.cause = cause
    }

    package var description: String {
        let text = "\(listener) cannot listen on \(address); is the address free, and one of this machine?"
        return if let cause { "\(text) (\(cause))" } else { text }
    }
}
