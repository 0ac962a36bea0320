/// What went wrong between this program and its database.
package struct StoreError: Error, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// No connection, or the connection was lost. Everything the store does may be repeated.
        case unavailable
        /// The server takes no writes: a standby, or a server after a failover. A new connection may find another one.
        case readOnly = "read_only"
        /// The server did not answer in time; whether it committed is unknown. May be repeated.
        case timedOut = "timed_out"
        /// More statements are waiting than the pool accepts.
        case busy
        /// The value cannot be stored: malformed, too large, or against a constraint.
        case invalidValue = "invalid_value"
        /// What the call is about does not exist.
        case notFound = "not_found"
        /// The row exists and says something else.
        case conflict
        /// The server refused the statement for another reason: a fault of this program or of the server's set-up.
        case rejected
        /// The database does not keep text as UTF-8.
        case encoding
        /// The login may not do what is needed.
        case rights
        /// The database's schema is older than this program.
        case schemaOutdated = "schema_outdated"
        /// The database's schema is newer than this program, or has migrations that this program does not know.
        case schemaNewer = "schema_newer"
        /// An applied migration differs from the one in this program.
        case migrationChanged = "migration_changed"
        /// initdb or postgres is not installed.
        case toolsMissing = "tools_missing"
        /// The state directory, or another path to write to, cannot be used.
        case stateDirectory = "state_directory"
        /// The private database server does not start.
        case clusterFailed = "cluster_failed"
    }

    package var code: Code
    /// What to do about it.
    package var message: String
    /// SQLSTATE, when the server said one.
    package var sqlState: String?
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, sqlState: String? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
        self.cause = cause
    }

    /// True when the same call may succeed later without anyone doing anything.
    package var isTransient: Bool {
        switch code {
        case .unavailable, .readOnly, .timedOut, .busy: true
        default: false
        }
    }

    package var description: String {
        var text = "\(code.rawValue): \(message)"
        if let sqlState { text += " [SQLSTATE \(sqlState)]" }
        if let cause { text += " (\(cause))" }
        return text
    }
}

extension StoreError {
    /// Classifies what the server answered.
    ///
    /// - Parameter constraint: name of the constraint that a value violates.
    init(sqlState: String?, constraint: String? = nil, message: String) {
        let state = sqlState ?? ""
        let code: Code =
            switch state {
            case "": .unavailable
            case "57014": .timedOut
            case "40001", "40P01": .unavailable
            case "25006": .readOnly
            case "42501": .rights
            // A table, column, function or schema that the migrations made is not there.
            case "42P01", "42703", "42883", "3F000": .schemaOutdated
            // The server cannot express the text in its encoding: its set-up, not the value.
            case "22P05", "22021": .encoding
            // A partition was attached while the rows were on their way to the default one: nothing is wrong with them.
            case "23514" where constraint == nil: .unavailable
            case _ where state.hasPrefix("08") || state.hasPrefix("57P") || state.hasPrefix("53"): .unavailable
            case _ where state.hasPrefix("22") || state.hasPrefix("23"): .invalidValue
            default: .rejected
            }
        self.init(code, message, sqlState: sqlState)
    }
}
