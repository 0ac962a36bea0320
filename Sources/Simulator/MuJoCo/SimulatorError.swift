/// What went wrong in the simulator, and what to do about it.
package struct SimulatorError: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// The embedded cell does not compile with the installed MuJoCo.
        case model
        /// No off-screen rendering context could be made.
        case rendering
        /// A request names a cell, an image size or a value that does not exist.
        case badRequest
        /// A file cannot be written.
        case output
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
        cause.map { "\(message) (\($0))" } ?? message
    }
}
