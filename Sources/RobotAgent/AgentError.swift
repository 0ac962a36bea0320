package import GrootCore

/// What ended or refused a run, and what to do about it.
package struct AgentError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable {
        /// Flags or configuration that cannot work together.
        case usage
        /// A profile file that cannot be used.
        case badProfile
        /// Certificate, key, authority or deny list that cannot be used.
        case badCertificate
        /// Gateway, ROS master, service or topic that did not answer.
        case unavailable
        /// The checkpoint does not fit the robot.
        case mismatch
        /// The robot refused a mode, did not arrive, or the safety gate stopped it.
        case safety
        /// A recording that is missing or cannot be read.
        case badRecording
        /// The spool or another folder on disk cannot be written.
        case spool
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

    package var exit: ProcessExit {
        switch code {
        case .usage: .usage
        case .badProfile, .badCertificate, .badRecording, .mismatch: .badInput
        case .unavailable: .unavailable
        case .safety: .safety
        case .spool: .cannotWrite
        }
    }
}
