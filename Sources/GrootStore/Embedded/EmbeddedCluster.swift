import Foundation
import GrootCore
package import Logging
import Subprocess
import Synchronization

/// A private PostgreSQL server in a state directory: unix socket only, no password, nobody else gets in.
///
/// The directory belongs to one gateway at a time (`DirectoryLock`). The server is a child in a session of its own,
/// so that Ctrl-C on the terminal reaches the gateway alone, which then shuts it down. A server that an earlier gateway
/// left behind is shut down first; a data directory that initdb did not finish is made anew.
package final class EmbeddedCluster: Sendable {
    /// Settings given on the server's command line, beyond those that make it private.
    package struct Tuning: Sendable {
        package var maxConnections = 32
        package var sharedBuffers = "64MB"
        /// Off only for tests: initdb and commits do not wait for the disk.
        package var syncToDisk = true

        package init() {}
    }

    /// Fast shutdown must be done by then; afterwards the server is killed and recovers at its next start.
    static let stopBudget: Duration = .seconds(20)
    /// A server that dies so many times without having served is given up.
    static let startAttempts = 5

    let layout: ClusterLayout
    private let tuning: Tuning
    private let logger: Logger
    private let processes: ClusterProcesses
    private let lock = Mutex<DirectoryLock?>(nil)
    private let served = Mutex(false)
    private let launched = Mutex(false)

    package init(stateDirectory: String, tuning: Tuning = Tuning(), logger: Logger) {
        self.layout = ClusterLayout(stateDirectory: stateDirectory)
        self.tuning = tuning
        self.logger = logger
        self.processes = ClusterProcesses(data: layout.data, record: layout.serverRecord)
    }

    /// How to connect once the server runs.
    package var conninfo: String { layout.conninfo() }

    /// The same for a database of another name (`postgres` always exists).
    package func conninfo(database: String) -> String { layout.conninfo(database: database) }

    /// The command with which people look into the database.
    package var psqlCommand: String {
        "psql -h \(layout.socketDirectory) -U \(ClusterLayout.userName) \(ClusterLayout.databaseName)"
    }

    /// Leaves that command as an executable `psql` beside the database, for people and scripts.
    func leavePsqlCommand() {
        let script =
            "#!/bin/sh\nexec psql -h '\(layout.socketDirectory)' -U \(ClusterLayout.userName) "
            + "-d \(ClusterLayout.databaseName) \"$@\"\n"
        let made = FileManager.default.createFile(
            atPath: layout.psqlScript,
            contents: Data(script.utf8),
            attributes: [.posixPermissions: 0o755]
        )
        if !made { logger.info("cannot write the psql command", metadata: ["path": "\(layout.psqlScript)"]) }
    }

    /// Process id of the running postmaster, nil when none runs.
    package var serverProcess: Int32? {
        processes.recordedPostmaster().flatMap { processes.ids().contains($0) ? $0 : nil }
    }

    /// True once this object launched a server; before, a socket that answers belongs to an earlier gateway's.
    var isLaunched: Bool { launched.withLock { $0 } }

    /// The owner connected: later exits of the server are crashes, not failures to start.
    func noteServed() {
        let isFirst = served.withLock { served in
            defer { served = true }
            return !served
        }
        if isFirst { processes.noteServing() }
    }

    /// Runs the server until the task is cancelled, then shuts it down; starts it again when it dies.
    ///
    /// - Throws: `toolsMissing`, `stateDirectory` or `clusterFailed` when there is no way to go on.
    package func run() async throws(StoreError) {
        let tools = try await PostgresTools.find()
        // Also when it fails: the next try must not find the lock of this one.
        defer { lock.withLock { $0 = nil } }
        try await prepareDirectory(tools)
        if try await processes.stopLeftovers() {
            logger.info(
                "shut down the database server of an earlier gateway",
                metadata: ["directory": "\(layout.data)"]
            )
        }
        try await initialiseIfNeeded(tools)
        launched.withLock { $0 = true }
        defer { launched.withLock { $0 = false } }
        var failures = 0
        var hasServed = false
        while !Task.isCancelled {
            let status = try await serve(tools)
            if Task.isCancelled { return }
            failures = served.withLock { served in
                defer { served = false }
                hasServed = hasServed || served
                return served ? 0 : failures + 1
            }
            logger.warning(
                "database server ended; starting it again",
                metadata: ["status": "\(status)", "failures": "\(failures)"]
            )
            // What ran once may run again, when its disk has room, say; until then inference goes on without it.
            guard failures < Self.startAttempts || hasServed else {
                throw StoreError(.clusterFailed, "the database server does not start: \(startLogTail)")
            }
            // Cancellation ends the loop above.
            try? await Task.sleep(for: .milliseconds(100 * (1 << min(failures, 6))))
            if Task.isCancelled { return }
            _ = try await processes.stopLeftovers()
        }
    }

    private func serve(_ tools: PostgresTools) async throws(StoreError) -> TerminationStatus {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [.send(signal: .interrupt, allowedDurationToNextStep: Self.stopBudget)]
        let settings = [
            "listen_addresses=", "unix_socket_directories=\"\(layout.socketDirectory)\"", "port=5432",
            "unix_socket_permissions=0700", "max_connections=\(tuning.maxConnections)",
            "shared_buffers=\(tuning.sharedBuffers)", "fsync=\(tuning.syncToDisk ? "on" : "off")",
            "logging_collector=on", "log_directory=log", "log_filename=postgresql-%a.log", "log_rotation_age=1d",
            "log_rotation_size=0", "log_truncate_on_rotation=on", "cluster_name=groot",
        ]
        let command = tools.command(
            [
                "sh", "-c", "exec \"$@\" >\"$0\" 2>&1 </dev/null", layout.startLog, "\(tools.binaries)/postgres", "-D",
                layout.data,
            ] + settings.flatMap { ["-c", $0] }
        )
        do {
            let result = try await Subprocess.run(
                .name(command.program),
                arguments: .init(command.arguments),
                platformOptions: options,
                output: .discarded,
                error: .discarded
            )
            return result.terminationStatus
        } catch {
            throw StoreError(.clusterFailed, "cannot start the database server", cause: error)
        }
    }
}

extension EmbeddedCluster {
    /// Creates the directories with their owner and takes the lock.
    private func prepareDirectory(_ tools: PostgresTools) async throws(StoreError) {
        for directory in [layout.directory, layout.socketDirectory] {
            try makePrivate(directory, for: tools.user)
        }
        let lock = try DirectoryLock(path: layout.lock)
        self.lock.withLock { $0 = lock }
        guard try await tools.shell("cd \"$0\" && test -w .", [layout.directory]) == nil else {
            throw StoreError(
                .stateDirectory,
                "the system user \(PostgresTools.systemUser) that runs the database cannot use \(layout.directory); "
                    + "choose a --state-dir whose parent directories others may enter, e.g. /var/lib/groot"
            )
        }
    }

    private func makePrivate(_ directory: String, for user: PostgresTools.User?) throws(StoreError) {
        let files = FileManager.default
        do {
            let isNew = !files.fileExists(atPath: directory)
            try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
            if isNew {
                var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
                if let user {
                    attributes[.ownerAccountID] = NSNumber(value: user.uid)
                    attributes[.groupOwnerAccountID] = NSNumber(value: user.gid)
                }
                try files.setAttributes(attributes, ofItemAtPath: directory)
            }
            let owner = try files.attributesOfItem(atPath: directory)[.ownerAccountID] as? NSNumber
            let expected = user?.uid ?? geteuid()
            guard owner?.uint32Value == expected else {
                throw StoreError(
                    .stateDirectory,
                    "\(directory) belongs to user id \(owner?.uint32Value ?? 0), the database would run as \(expected); "
                        + "start groot-gateway as the user that made it, or choose another --state-dir"
                )
            }
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(.stateDirectory, "cannot create \(directory)", cause: error)
        }
    }

    private func initialiseIfNeeded(_ tools: PostgresTools) async throws(StoreError) {
        guard !FileManager.default.fileExists(atPath: layout.data + "/PG_VERSION") else { return }
        logger.notice("initialising database cluster", metadata: ["directory": "\(layout.data)"])
        let sync = tuning.syncToDisk ? "" : "--no-sync"
        let script =
            "rm -rf \"$2\" && \"$0\"/initdb -D \"$2\" -U \(ClusterLayout.userName) --auth=trust --encoding=UTF8 "
            + "--locale=C --no-instructions \(sync) && mv -T \"$2\" \"$1\""
        if let problem = try await tools.shell(script, [tools.binaries, layout.data, layout.unfinishedData]) {
            throw StoreError(.clusterFailed, "cannot initialise the database cluster in \(layout.data): \(problem)")
        }
    }

    private var startLogTail: String {
        // Without the file there is nothing to add to the message.
        let text = (try? String(contentsOfFile: layout.startLog, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(5).joined(separator: "; ")
    }
}
