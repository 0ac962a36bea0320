import Foundation
import GrootAdmin
import GrootCore
import Logging
import ServiceLifecycle
import UnixSignals

/// The services of the process and their order: on SIGTERM or SIGINT the data plane drains first, then the control
/// plane ends, then the admin listener.
struct GatewayProcess {
    private let control: any ControlPlaneService
    private let admin: AdminServer
    private let dataPlane: DataPlaneService
    private let directory: WorkerDirectory
    private let reload: ReloadService
    private let drainBudget: Duration
    private let running: LatestValue<DataPlane>
    private let notifier: ServiceNotifier
    private let logger: Logger

    /// - Parameter reload: reads the settings again; throws when they would not hold.
    init(
        _ settings: GatewaySettings,
        control: any ControlPlaneService,
        dashboard: any DashboardData,
        directory: WorkerDirectory,
        registry: MetricsRegistry,
        logger: Logger,
        reload: @escaping @Sendable () throws -> GatewaySettings
    ) {
        // The data plane needs the control plane's address, which is known once that serves.
        let running = LatestValue<DataPlane>()
        self.running = running
        self.control = control
        self.directory = directory
        let orders = GatewayOrders(running: running, settings: settings, registry: registry, logger: logger)
        drainBudget = settings.gateway.drainBudget
        self.logger = logger
        notifier = ServiceNotifier(
            environment: ProcessInfo.processInfo.environment,
            processIdentifier: ProcessInfo.processInfo.processIdentifier,
            logger: logger,
            isAlive: { await running.peek()?.takesTurns() ?? true }
        )
        dataPlane = DataPlaneService(
            control: control,
            directory: directory,
            running: running,
            notifier: notifier,
            logger: logger
        ) { endpoint in
            await DataPlane(
                configuration: settings.gateway,
                control: endpoint,
                registry: registry,
                logger: logger,
                orders: orders,
                onWorkerDescribed: { control.workerDescribed($0) }
            )
        }
        self.reload = ReloadService(
            current: settings,
            read: reload,
            directory: directory,
            running: running,
            logger: logger
        )
        let routes = DashboardRoutes(data: dashboard, metrics: registry) {
            DashboardGateway(running.peek(), configured: settings.directory.addresses)
        }
        let operations = GatewayAdmin(running: running, orders: orders)
        let storeReadiness = StoreReadiness(reason: { control.notReadyReason })
        admin = AdminServer(
            host: settings.admin.host,
            port: settings.admin.port,
            metrics: registry,
            logger: logger,
            routes: {
                routes.add(to: $0)
                operations.add(to: $0)
                storeReadiness.add(to: $0)
            },
            remark: { storeReadiness.remark }
        ) {
            guard let dataPlane = running.peek() else { return "the control plane is starting" }
            // Robots need workers; that the database is away must not take a gateway out of their service.
            return dataPlane.notReadyReason
        }
    }

    /// Serves until the process is asked to stop; the drain has a budget, after which it is cancelled.
    func run() async throws {
        var group = ServiceGroupConfiguration(
            services: [
                .init(service: AdminService(admin: admin), successTerminationBehavior: .gracefullyShutdownGroup),
                .init(service: ControlService(control: control), successTerminationBehavior: .gracefullyShutdownGroup),
                .init(service: directory, successTerminationBehavior: .ignore),
                .init(service: reload, successTerminationBehavior: .ignore),
                .init(
                    service: CertificateService(running: running),
                    successTerminationBehavior: .ignore
                ),
                .init(service: dataPlane, successTerminationBehavior: .gracefullyShutdownGroup),
                // Services end in opposite order: systemd hears first that the drain begins.
                .init(service: notifier, successTerminationBehavior: .ignore),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        group.maximumGracefulShutdownDuration = drainBudget + .seconds(5)
        try await ServiceGroup(configuration: group).run()
    }
}

private struct AdminService: Service {
    let admin: AdminServer

    func run() async throws {
        try await admin.run()
    }
}

private struct ControlService: Service {
    let control: any ControlPlaneService

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await control.run() }
        } catch {
            // It is told to stop by cancellation, which its server wraps in errors of its own.
            guard Task.isShuttingDownGracefully || Task.isCancelled else { throw error }
        }
    }
}

/// Takes up new certificates: on SIGHUP at once, else when the files have changed, which is looked at every ten seconds.
private struct CertificateService: Service {
    let running: LatestValue<DataPlane>

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        await withTaskGroup { group in
            group.addTask {
                for await _ in signals.cancelOnGracefulShutdown() { running.peek()?.reloadCertificates() }
            }
            group.addTask {
                // Ends with cancellation.
                while (try? await cancelWhenGracefulShutdown({ try await Task.sleep(for: .seconds(10)) })) != nil {
                    running.peek()?.reloadCertificates()
                }
            }
        }
    }
}

private struct DataPlaneService: Service {
    let control: any ControlPlaneService
    let directory: WorkerDirectory
    /// Where others find the data plane once it runs.
    let running: LatestValue<DataPlane>
    let notifier: ServiceNotifier
    let logger: Logger
    let make: @Sendable (Endpoint) async -> DataPlane

    func run() async throws {
        let dataPlane = await make(try await control.endpoint)
        running.store(dataPlane)
        directory.attach(to: dataPlane)
        let address = try await dataPlane.start()
        logger.info("listens", metadata: ["peer": "\(address)"])
        await notifier.ready("listens on \(address)")
        // Both a signal and cancellation end the wait; either way what is in flight gets its budget.
        try? await gracefulShutdown()
        logger.info("drains")
        await dataPlane.stop()
    }
}

/// Reads the settings again on SIGHUP. What would not hold changes nothing.
private struct ReloadService: Service {
    let current: GatewaySettings
    let read: @Sendable () throws -> GatewaySettings
    let directory: WorkerDirectory
    let running: LatestValue<DataPlane>
    let logger: Logger

    func run() async throws {
        var current = current
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            do {
                let new = try read()
                for setting in Setting.all where !setting.isLive && setting.show(current) != setting.show(new) {
                    logger.warning("takes effect with the next start", metadata: ["setting": "\(setting.key)"])
                }
                LogSetup.level = new.logLevel
                running.peek()?.reconfigure(new.gateway)
                directory.reconfigure(new.directory)
                current = new
                logger.notice("settings read again")
            } catch {
                logger.error("settings not taken over; the old ones hold", metadata: ["error": "\(error)"])
            }
        }
    }
}
