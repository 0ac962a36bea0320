/// What keeps a database from being used, as metrics name it.
package enum StoreFault: String, Sendable, CaseIterable {
    /// Nothing was tried yet.
    case starting
    /// It cannot be reached, or does not answer.
    case unreachable
    /// Its text is not UTF-8.
    case encoding
    /// Its schema is not this program's.
    case schema
    /// The login may not do what is needed.
    case rights
    /// It takes no writes.
    case readOnly = "read_only"
    /// This gateway's own server cannot run.
    case ownServer = "own_server"
    /// It refuses for another reason.
    case other
    /// The gateway stops.
    case stopped
}

extension StoreError {
    package var fault: StoreFault {
        switch code {
        case .unavailable, .timedOut, .busy: .unreachable
        case .readOnly: .readOnly
        case .encoding: .encoding
        case .rights: .rights
        case .schemaOutdated, .schemaNewer, .migrationChanged: .schema
        case .toolsMissing, .stateDirectory, .clusterFailed: .ownServer
        case .invalidValue, .notFound, .conflict, .rejected: .other
        }
    }
}

/// Whether the store can be used.
///
/// Pure. Owned by `Store`, behind its lock.
struct Readiness {
    private var isPrepared = false
    private(set) var isStopped = false
    private(set) var fault: StoreFault? = .starting
    private(set) var reason: String? = "starting"
    /// The error behind it, when there was one.
    private(set) var problem: StoreError?

    /// Why an operation must not even be tried; after the first success the connection itself decides.
    var refusal: String? { isPrepared && !isStopped ? nil : reason }

    mutating func prepared() {
        isPrepared = true
        isStopped = false
        clear()
    }

    mutating func waiting(_ error: StoreError) { take(error) }

    /// True when this is news.
    mutating func lost(_ error: StoreError) -> Bool {
        let isNews = fault != error.fault
        take(error)
        return isNews
    }

    /// True when this is news.
    mutating func answered() -> Bool {
        defer { clear() }
        return reason != nil
    }

    /// `run()` begins, perhaps again.
    mutating func started() { isStopped = false }

    /// `run()` cannot go on.
    mutating func failed(_ error: StoreError) {
        isStopped = true
        take(error)
    }

    mutating func stopped(_ why: String) {
        isStopped = true
        fault = .stopped
        reason = why
    }

    private mutating func take(_ error: StoreError) {
        fault = error.fault
        reason = error.message
        problem = error
    }

    private mutating func clear() {
        fault = nil
        reason = nil
        problem = nil
    }
}
