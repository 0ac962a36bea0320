import ArgumentParser
import Foundation
import GrootStore
import Logging

/// `groot-gateway backup FILE`: a copy of the whole database, while it is in use.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the whole database into a file; the gateway may run meanwhile."
    )

    @OptionGroup var options: DatabaseOptions
    @Argument(help: "File to write; an older one is replaced when the copy is complete.") var file: String

    func run() async throws {
        try await options.withStore { [file] store in
            try await DatabaseBackup(conninfo: store.conninfo).dump(to: file)
        }
        print(file)
    }
}

/// `groot-gateway restore FILE`: an empty database is filled from a copy.
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Fill an empty database from a copy that backup made, all of it or nothing.",
        discussion: "Without --database, into a --state-dir that no gateway has used."
    )

    @OptionGroup var options: DatabaseOptions
    @Argument(help: "File that backup wrote.") var file: String
    @Option(help: "Longest wait for the database server, seconds.") var timeout = 90

    func run() async throws {
        var logger = Logger(label: "groot-gateway")
        logger.logLevel = .error
        let limit = Duration.seconds(timeout)
        try await DatabaseCommand.reporting {
            if let database = options.database {
                try await DatabaseBackup(conninfo: database).restore(from: file, timeout: limit)
            } else {
                let cluster = EmbeddedCluster(stateDirectory: options.stateDir, logger: logger)
                try await cluster.restore(from: file, timeout: limit)
            }
        }
        print("restored \(file)")
    }
}
