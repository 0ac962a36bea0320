import ArgumentParser
import Foundation
import GrootCore
import GrootStore
import Logging

/// `groot-gateway serve`, also meant when no subcommand is named: parse, log, control plane, data plane, admin, drain.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve: balance requests over the workers (the default).",
        discussion: """
            Robots connect to --listen. Requests go to the worker that is expected to answer first; when all are busy, \
            they wait in one queue in which a newer observation takes the older one's place. A worker that dies is left \
            out at once and its requests are repeated on another one. SIGTERM drains, SIGHUP reads the settings again.
            """
    )

    @OptionGroup var flags: GatewayFlags

    func run() async throws {
        let settings = try flags.settings()
        LogSetup.bootstrap(level: settings.logLevel)
        let logger = Logger(label: "groot-gateway")
        let registry = MetricsRegistry()
        do {
            let location: StoreConfiguration.Location =
                if let database = settings.database { .server(url: database, migrate: settings.migrate) } else {
                    .embedded(stateDirectory: settings.stateDirectory)
                }
            var configuration = StoreConfiguration(location: location)
            configuration.quarantineLimit = settings.quarantineLimit
            configuration.episodeSilence = settings.episodeSilence
            let store = Store(configuration: configuration, logger: logger, metrics: registry)
            let directory = WorkerDirectory(settings.directory, logger: logger)
            let control = try FleetControlPlane(
                store: store,
                gateway: ProcessInfo.processInfo.hostName,
                directory: directory,
                budgets: settings.budgets,
                metrics: registry,
                logger: logger
            )
            let gateway = GatewayProcess(
                settings,
                control: control,
                dashboard: store,
                directory: directory,
                registry: registry,
                logger: logger,
                reload: { try flags.settings() }
            )
            try await gateway.run()
        } catch {
            logger.error("the gateway cannot go on", metadata: ["error": "\(error)"])
            throw ExitCode(GatewayExit.code(for: error).rawValue)
        }
    }
}
