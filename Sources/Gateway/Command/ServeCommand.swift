import ArgumentParser
import Foundation
import GrootAPI
import GrootCore
import GrootStore
import HTTP2
import Logging

/// `groot-gateway serve`, also meant when no subcommand is named: parse, log, control plane, data plane, admin, drain.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve: balance requests over the workers (the default).",
        discussion: """
            Robots connect to --listen. Requests go to the worker that is expected to answer first; a worker that dies is \
            left out at once and its requests are repeated on another one. SIGTERM drains within five seconds.
            """
    )

    @Option(help: "Comma-separated addresses of workers: host, host:port or unix:/path (default port 8090).")
    var workers: String

    @Option(help: "Where robots connect.")
    var listen = "127.0.0.1:\(DefaultPort.gateway)"

    @Option(help: "Where /livez, /readyz and /metrics are served.")
    var admin = "127.0.0.1:\(DefaultPort.gatewayAdmin)"

    @Option(help: "PostgreSQL connection URL. Without it the gateway keeps a database of its own in --state-dir.")
    var database: String?

    @Flag(help: "Bring the schema of --database up to date first; the gateway's own database always is.")
    var migrate = false

    @Option(help: "Directory for what the gateway keeps.")
    var stateDir = ".state/gateway"

    @Option(help: "PEM file with the gateway's certificate (then its intermediates): robots connect over TLS.")
    var tlsCertificate: String?

    @Option(help: "PEM file with the key of --tls-certificate, without a pass phrase.")
    var tlsKey: String?

    @Option(help: "PEM file with the authority of the robots' certificates: each must show one, and speaks for itself.")
    var tlsAuthority: String?

    @Option(help: "File with serial numbers of certificates that are refused, one a line.")
    var tlsRevoked: String?

    @Option(help: "PEM file with the authority of the workers' certificates: the gateway speaks TLS to workers.")
    var workerTlsAuthority: String?

    @Option(help: "A limit towards robots, NAME=VALUE; may be repeated. Names and defaults: docs/limits.md.")
    var limit: [String] = []

    @Option(help: "Threads for the data plane.")
    var eventLoops = 1

    @Option(help: "Log level: trace, debug, info, notice, warning, error, critical.")
    var logLevel = "info"

    /// What the options say, checked as a whole before anything is opened.
    struct Checked {
        var gateway: GatewayConfiguration
        var admin: (host: String, port: Int)
        var logLevel: Logger.Level
    }

    func validate() throws {
        _ = try checked()
    }

    func checked() throws -> Checked {
        var problems: [String] = []
        func endpoint(_ text: String, _ option: String, port: Int) -> Endpoint? {
            do throws(EndpointError) {
                return try Endpoint(parsing: text, defaultPort: port)
            } catch {
                problems.append("\(option): \(error)")
                return nil
            }
        }
        var gateway = GatewayConfiguration()
        for text in workers.split(separator: ",", omittingEmptySubsequences: false) {
            guard let worker = endpoint(String(text), "--workers", port: DefaultPort.worker) else { continue }
            if gateway.workers.contains(worker) {
                problems.append("--workers: \(worker) is listed twice; list each worker once")
            }
            gateway.workers.append(worker)
        }
        if let listen = endpoint(listen, "--listen", port: DefaultPort.gateway) { gateway.listen = listen }
        if !(1...64).contains(eventLoops) { problems.append("--event-loops: must be from 1 to 64") }
        gateway.eventLoops = eventLoops
        var adminAddress = (host: "127.0.0.1", port: DefaultPort.gatewayAdmin)
        switch endpoint(admin, "--admin", port: DefaultPort.gatewayAdmin) {
        case .tcp(let host, let port): adminAddress = (host, port)
        case .unix: problems.append("--admin: must be host:port")
        case nil: break
        }
        for text in limit {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let problem = parts.count == 2 ? gateway.setLimit(parts[0], to: parts[1]) : "expected NAME=VALUE"
            if let problem { problems.append("--limit \(text): \(problem)") }
        }
        func certificates(_ side: TLSContextSource.Side, _ configuration: TLSConfiguration) -> TLSContextSource? {
            do throws(HTTP2Error) {
                return try TLSContextSource(side, configuration)
            } catch {
                problems.append("TLS: \(error)")
                return nil
            }
        }
        if tlsCertificate != nil || tlsKey != nil || tlsAuthority != nil || tlsRevoked != nil {
            gateway.tls = certificates(
                .server,
                TLSConfiguration(certificate: tlsCertificate, key: tlsKey, authority: tlsAuthority, revoked: tlsRevoked)
            )
        }
        if let workerTlsAuthority {
            // To workers the gateway shows the certificate that robots see.
            gateway.workerTLS = certificates(
                .client,
                TLSConfiguration(
                    certificate: tlsCertificate,
                    key: tlsKey,
                    authority: workerTlsAuthority,
                    revoked: tlsRevoked
                )
            )
        }
        let level = Logger.Level(rawValue: logLevel)
        if level == nil { problems.append("--log-level: \"\(logLevel)\" is no level") }
        guard problems.isEmpty else { throw ValidationError(problems.joined(separator: "\n")) }
        return Checked(gateway: gateway, admin: adminAddress, logLevel: level ?? .info)
    }

    func run() async throws {
        let checked = try checked()
        LogSetup.bootstrap(level: checked.logLevel)
        let logger = Logger(label: "groot-gateway")
        let registry = MetricsRegistry()
        do {
            let location: StoreConfiguration.Location =
                if let database { .server(url: database, migrate: migrate) } else {
                    .embedded(stateDirectory: stateDir)
                }
            let store = Store(configuration: .init(location: location), logger: logger, metrics: registry)
            let control = FleetControlPlane(store: store, gateway: ProcessInfo.processInfo.hostName, logger: logger)
            let gateway = GatewayProcess(
                checked,
                control: control,
                dashboard: store,
                registry: registry,
                logger: logger
            )
            try await gateway.run()
        } catch let error as GatewayError {
            logger.error("the gateway cannot go on", metadata: ["error": "\(error)"])
            throw ExitCode(error.code == .address ? ProcessExit.usage.rawValue : ProcessExit.failed.rawValue)
        } catch {
            logger.error("the gateway failed", metadata: ["error": "\(error)"])
            throw ExitCode(ProcessExit.failed.rawValue)
        }
    }
}
