import ArgumentParser
import Foundation
import GrootAPI
import GrootAdmin
import GrootCore
import GrootSecurity
import Logging
import ServiceLifecycle
import UnixSignals

/// `groot-worker --checkpoint DIR`: load, warm up, serve until told to stop.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a checkpoint (the default)."
    )

    /// Time that running requests get to finish after SIGTERM.
    private static let drainBudget: Duration = .seconds(10)

    @OptionGroup var checkpoint: CheckpointFlags

    @Option(help: "Address of the gRPC listener (default 127.0.0.1:\(DefaultPort.worker)).")
    var listen: String?

    @Option(help: "Name in answers, logs and metrics (default: worker); with TLS the certificate's name holds.")
    var name: String?

    @Option(help: "Address of /livez, /readyz and /metrics (default 127.0.0.1:\(DefaultPort.workerAdmin)), or off.")
    var admin: String?

    @Option(help: "Requests that may wait for a batch (default 64).")
    var maxWaiting: Int?

    @Option(
        help: """
            Least seconds between two inferences for one robot, to save compute (default 0: none). Never starves a robot, \
            holds no thread.
            """
    )
    var inferenceLatency: Double?

    @Option(help: "Seconds that a free runtime waits for a fuller batch while no robot runs dry for it (default 0).")
    var gather: Double?

    @Option(help: "Folder below which checkpoints may be loaded while serving (POST /checkpoints); default: none may.")
    var checkpoints: String?

    @Option(help: "GiB that all loaded checkpoints may take together (default: no limit).")
    var memoryBudget: Double?

    @Option(help: "Gateway to join (host:port); without it the gateway must list this worker in --workers.")
    var gateway: String?

    @Option(help: "host:port at which gateways reach this worker (default: the address it listens on).")
    var advertise: String?

    @OptionGroup var tls: TLSFlags

    func validate() throws {
        do {
            _ = try tls.files()
        } catch {
            throw ValidationError(error.description)
        }
        do {
            _ = try Self.endpoint(listen)
            if admin != "off" {
                let endpoint = try Endpoint(parsing: admin ?? "127.0.0.1", defaultPort: DefaultPort.workerAdmin)
                if case .unix = endpoint { throw ValidationError("--admin must be host:port or off.") }
            }
            if let gateway { _ = try Endpoint(parsing: gateway, defaultPort: DefaultPort.gateway) }
            if let advertise { _ = try Endpoint(parsing: advertise, defaultPort: DefaultPort.worker) }
        } catch let error as EndpointError {
            throw ValidationError(error.description)
        }
        if let maxWaiting, !(1...10_000).contains(maxWaiting) {
            throw ValidationError("--max-waiting is \(maxWaiting), expected 1 to 10000.")
        }
        if let memoryBudget, !(0.001...100_000).contains(memoryBudget) {
            throw ValidationError("--memory-budget is \(memoryBudget), expected 0.001 to 100000 GiB.")
        }
        for (flag, value) in [("--inference-latency", inferenceLatency), ("--gather", gather)] {
            if let value, !(0...60).contains(value) {
                throw ValidationError("\(flag) is \(value), expected 0 to 60 seconds.")
            }
        }
    }

    /// Where to listen; this machine alone unless told otherwise.
    private static func endpoint(_ listen: String?) throws(EndpointError) -> Endpoint {
        try Endpoint(parsing: listen ?? "127.0.0.1", defaultPort: DefaultPort.worker).listening()
    }

    func run() async throws {
        LogSetup.bootstrap(level: .info)
        var logger = Logger(label: "groot-worker")
        let name = try certifiedName(logger) ?? name ?? "worker"
        logger[metadataKey: "worker"] = "\(name)"
        if let said = self.name, said != name {
            logger.warning("--name differs from the certificate, whose name holds", metadata: ["said": "\(said)"])
        }
        let options = checkpoint.options
        let metrics = WorkerMetrics(registry: MetricsRegistry(labels: ["worker": name]), maxBatch: options.maxBatch)
        let state = ServingState()
        let queue = BatchQueue<UInt64>.Configuration(
            maxWaiting: maxWaiting ?? 64,
            maxBatch: options.maxBatch,
            pacing: .seconds(inferenceLatency ?? 0),
            gather: .seconds(gather ?? 0)
        )
        let notifier = ServiceNotifier(
            environment: ProcessInfo.processInfo.environment,
            processIdentifier: ProcessInfo.processInfo.processIdentifier,
            logger: logger
        )
        let security = try fleetTLS(metrics.registry, logger)
        let keeper = CheckpointKeeper(
            configuration: .init(
                base: options,
                queue: queue,
                memoryBudget: memoryBudget.map { Int($0 * Double(1 << 30)) },
                root: checkpoints.map { URL(filePath: $0, directoryHint: .isDirectory) }
            ),
            state: state,
            metrics: metrics,
            logger: logger
        )
        let server = WorkerServer(
            name: name,
            listen: try Self.endpoint(listen),
            tls: security,
            state: state,
            metrics: metrics,
            logger: logger,
            onServing: { await notifier.ready("serves \($0)") },
            load: { [directories = checkpoint.checkpoint] () throws(WorkerError) in
                try await keeper.loadAll(directories)
            }
        )
        // Whatever ends the listener ends the process, and the admin listener closes in order.
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(
                service: server,
                successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup
            )
        ]
        if admin != "off",
            case .tcp(let host, let port) = try Endpoint(
                parsing: admin ?? "127.0.0.1",
                defaultPort: DefaultPort.workerAdmin
            )
        {
            let listener = AdminServer(
                host: host,
                port: port,
                metrics: metrics.registry,
                logger: logger,
                routes: AdminRoute.pages(CheckpointEndpoints(keeper: keeper).routes)
            ) {
                state.notReadyReason
            }
            services.append(.init(service: AdminService(server: listener)))
        }
        services.append(.init(service: notifier, successTerminationBehavior: .ignore))
        if let gpus = GPUTelemetry(
            environment: ProcessInfo.processInfo.environment,
            registry: metrics.registry,
            logger: logger
        ) {
            services.append(.init(service: gpus))
        }
        if let security { services.append(.init(service: security)) }
        if let gateway {
            let registration = GatewayRegistration(
                gateway: try Endpoint(parsing: gateway, defaultPort: DefaultPort.gateway),
                worker: name,
                state: state,
                tls: security,
                logger: logger
            ) { [advertise] in
                if let advertise { return "\(try Endpoint(parsing: advertise, defaultPort: DefaultPort.worker))" }
                return try await server.reachableAddress
            }
            services.append(.init(service: registration))
        }
        var configuration = ServiceGroupConfiguration(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        configuration.maximumGracefulShutdownDuration = Self.drainBudget
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as WorkerError {
            await keeper.closeAll()
            throw reported(error)
        } catch let error as ListenError {
            await keeper.closeAll()
            throw reported(error)
        }
        await keeper.closeAll()
        logger.info("drained")
    }

    private func fleetTLS(_ registry: MetricsRegistry, _ logger: Logger) throws -> FleetTLS? {
        try securing(logger) { files throws(TLSError) in
            try FleetTLS(
                files,
                reloadEvery: .seconds(tls.tlsReload),
                process: "worker",
                metrics: registry,
                logger: logger
            )
        }
    }

    /// A worker's name is its certificate's.
    private func certifiedName(_ logger: Logger) throws -> String? {
        let identity = try securing(logger) { files throws(TLSError) in try files.identity() }
        return identity.flatMap { $0.kind == .worker ? $0.name : nil }
    }

    /// - Returns: nil without TLS.
    private func securing<Value>(
        _ logger: Logger,
        _ body: (TLSFiles) throws(TLSError) -> Value?
    ) throws -> Value? {
        do throws(TLSError) {
            guard let files = try tls.files() else { return nil }
            return try body(files)
        } catch {
            logger.error("TLS cannot be set up", metadata: ["error": "\(error)"])
            throw ExitCode(ProcessExit.badInput.rawValue)
        }
    }
}

/// Runs the admin listener in the worker's service group.
private struct AdminService: Service {
    let server: AdminServer

    func run() async throws { try await server.run() }
}
