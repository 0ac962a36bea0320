import Foundation
import Glibc

/// Where the database is and how hard it may be used.
package struct StoreConfiguration: Sendable {
    package enum Location: Sendable {
        /// A private server in this state directory, migrated at every start.
        case embedded(stateDirectory: String)
        /// A server that someone else runs: `postgres://user@host/name`, or libpq's `key=value` text.
        case server(url: String, migrate: Bool)
    }

    package enum Access: Sendable {
        /// A gateway: writes, and proves at the start that it may.
        case writing
        /// A command: a standby or a login that may only read will do; what it may not do, the server says.
        case whatIsThere
    }

    package var location: Location
    package var access = Access.writing
    /// Connections (`database.pool-size`).
    package var poolSize = 4
    /// Calls that may wait for a connection (`database.queue-limit`).
    package var queueLimit = 256
    /// For connecting and for every statement (`database.timeout`).
    package var timeout: Duration = .seconds(15)
    /// How long the private server may take from launch to its first answer (`database.start-timeout`).
    package var startTimeout: Duration = .seconds(90)
    /// How often the database is asked whether it is there (`database.probe-interval`).
    package var probeInterval: Duration = .milliseconds(500)
    /// How often partitions are made ahead and dropped (`database.maintenance-interval`).
    package var maintenanceInterval: Duration = .seconds(3600)
    /// An episode of which nothing was heard for so long is closed as aborted (`episode-silence-ms`).
    package var episodeSilence: Duration = .seconds(3600)
    /// How often such episodes are looked for.
    package var closingInterval: Duration = .seconds(60)
    /// Records of one robot that quarantine keeps (`quarantine-limit`).
    package var quarantineLimit = 1000
    package var tuning = EmbeddedCluster.Tuning()

    package init(location: Location) {
        self.location = location
    }

    /// Where the gateway keeps things unless told otherwise: `/var/lib/groot-gateway` for root, because the database then
    /// runs as another user, who may not enter root's home; else below `$XDG_STATE_HOME`.
    package static func defaultStateDirectory(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        isRoot: Bool = geteuid() == 0
    ) -> String {
        if isRoot { return "/var/lib/groot-gateway" }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/groot-gateway" }
        return (environment["HOME"] ?? "/tmp") + "/.local/state/groot-gateway"
    }
}
