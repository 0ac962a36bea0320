import ArgumentParser
import Foundation
import GrootCore
import GrootStore
import Logging

/// Which database a subcommand works on, and in which form it answers.
struct DatabaseOptions: ParsableArguments {
    @Option(help: "PostgreSQL connection URL. Without it, the database that the gateway keeps in --state-dir.")
    var database: String?

    @Option(help: "Directory of the gateway whose own database is meant.")
    var stateDir = ".state/gateway"

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    /// Opens the database for one piece of work.
    ///
    /// The gateway's own database is reached whether or not the gateway runs: without one, its server runs for as long as
    /// `body` does.
    func withStore<Result: Sendable>(
        migrate: Bool = false,
        _ body: @Sendable (Store) async throws -> Result
    ) async throws -> Result {
        var logger = Logger(label: "groot-gateway")
        logger.logLevel = .error
        var configuration = StoreConfiguration(location: try location(migrate: migrate, logger: logger))
        configuration.access = .whatIsThere
        let store = Store(
            configuration: configuration,
            logger: logger,
            metrics: MetricsRegistry()
        )
        return try await DatabaseCommand.reporting {
            try await withThrowingTaskGroup(of: Void.self, returning: Result.self) { group in
                group.addTask { try await store.run() }
                try await store.waitUntilReady(timeout: .seconds(database == nil ? 90 : 15), failsOnFaults: true)
                let result = try await body(store)
                group.cancelAll()
                // run() ends with the cancellation that was asked for.
                try? await group.waitForAll()
                return result
            }
        }
    }

    private func location(migrate: Bool, logger: Logger) throws -> StoreConfiguration.Location {
        if let database { return .server(url: database, migrate: migrate) }
        let cluster = EmbeddedCluster(stateDirectory: stateDir, logger: logger)
        if cluster.serverProcess != nil { return .server(url: cluster.conninfo, migrate: migrate) }
        guard migrate || FileManager.default.fileExists(atPath: stateDir + "/postgres/data") else {
            throw ValidationError(
                "no gateway has kept a database in \(stateDir); name its --state-dir, or a server with --database"
            )
        }
        return .embedded(stateDirectory: stateDir)
    }
}

/// What the database subcommands share.
enum DatabaseCommand {
    /// Prints what the store says about a failure and ends with the exit code that fits it.
    static func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as StoreError {
            try FileHandle.standardError.write(contentsOf: Data("groot-gateway: \(error.message)\n".utf8))
            throw ExitCode(GatewayExit.code(for: error).rawValue)
        }
    }

    /// `7d`, `12h`, `30m` as PostgreSQL writes it; nil when it is none of these.
    static func interval(_ text: String) -> String? {
        let units: [Character: String] = ["d": "days", "h": "hours", "m": "minutes"]
        guard let last = text.last, let unit = units[last], let count = Int(text.dropLast()),
            (1...100_000).contains(count)
        else { return nil }
        return "\(count) \(unit)"
    }

    /// Who is noted for a change.
    static var person: String { ProcessInfo.processInfo.userName }
}
