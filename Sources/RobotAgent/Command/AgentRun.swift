import Foundation
import GrootAPI
import GrootAdmin
package import GrootCore
import GrootSecurity
import Logging
import ROS1
import ServiceLifecycle
import Synchronization

/// One run of the agent from the first connection to the last acknowledged record.
///
/// Signals end it gracefully: the robot is brought to rest, handed back, and telemetry flushed.
package struct AgentRun: Sendable {
    private struct RunService: Service {
        let run: AgentRun
        let exit: ExitBox

        func run() async throws {
            let code = await run.execute()
            exit.store(code)
        }
    }

    private let configuration: AgentConfiguration
    private let logger: Logger
    private let metrics: MetricsRegistry
    private let readiness = LatestValue<String>()
    private let notifier: ServiceNotifier

    private let reports: ReportCollection?
    private let orders = OrderInbox()
    /// From here on the session machine reads signals; before, they give the start up.
    private let isDriving = Flag()

    /// - Parameter reports: collects what the episodes came to.
    package init(configuration: AgentConfiguration, reports: ReportCollection? = nil) {
        self.reports = reports
        var logger = Logger(label: "agent")
        logger[metadataKey: "robot"] = "\(configuration.robot)"
        self.logger = logger
        self.configuration = configuration
        metrics = MetricsRegistry(labels: ["robot": configuration.robot])
        notifier = ServiceNotifier(
            environment: ProcessInfo.processInfo.environment,
            processIdentifier: ProcessInfo.processInfo.processIdentifier,
            logger: logger
        )
    }

    /// Runs under signal handling; what each signal does in each phase is in docs/safety.md.
    package func run() async -> ProcessExit {
        let exit = ExitBox(.failed)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(
                        service: RunService(run: self, exit: exit),
                        successTerminationBehavior: .gracefullyShutdownGroup
                    )
                ],
                logger: quiet(logger)
            )
        )
        let signals = SignalOrders { [orders, isDriving] order in
            orders.post(order)
            if !isDriving.isSet { Task { await group.triggerGracefulShutdown() } }
        }
        defer { signals.cancel() }
        do {
            try await group.run()
        } catch {
            logger.error("the run failed", metadata: ["error": "\(error)"])
            return .failed
        }
        return exit.load()
    }

    /// The run without signal handling; for tests.
    package func execute() async -> ProcessExit {
        readiness.store("starting")
        do {
            let lock = try await RobotLock.take(robot: configuration.robot)
            do {
                let exit = try await supervised()
                await lock.release()
                return exit
            } catch {
                await lock.release()
                throw error
            }
        } catch let error as AgentError {
            logger.error("\(error.message)", metadata: error.cause.map { ["error": "\($0)"] } ?? [:])
            return error.exit
        } catch let error as ListenError {
            logger.error("\(error)")
            return .cannotListen
        } catch is CancellationError {
            logger.info("stopped before the robot moved")
            return .ok
        } catch {
            logger.error("the run failed", metadata: ["error": "\(error)"])
            return .failed
        }
    }

    private func supervised() async throws -> ProcessExit {
        // A profile that cannot be read is said before anything is contacted.
        if configuration.profile != "auto" { _ = try ProfileCatalog.load(configuration.profile) }
        let tls = try fleetTLS()
        let gateway = try GatewayClient(
            endpoints: configuration.gateways,
            robot: configuration.robot,
            tls: tls,
            logger: logger
        )
        let boot = UUID().uuidString.lowercased()
        let spool = try TelemetrySpool(
            directory: configuration.stateDirectory.appending(path: "spool"),
            robot: configuration.robot,
            boot: boot,
            limits: SpoolState.Limits(bytes: configuration.spoolBytes),
            metrics: metrics,
            logger: logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await gateway.run() }
            if let tls { group.addTask { try await tls.run() } }
            group.addTask { [notifier] in try await notifier.run() }
            group.addTask { await spool.run(to: gateway) }
            if case .tcp(let host, let port)? = configuration.admin {
                // Nothing moves when it cannot listen.
                try await AdminServer(host: host, port: port, metrics: metrics, logger: logger) { [readiness] in
                    readiness.peek()
                }.start(in: &group)
            }
            let exit: ProcessExit
            do {
                exit = try await operate(gateway: gateway, spool: spool, boot: boot)
            } catch {
                // Why it stopped is what people will look for: a failed run reports, too.
                await flush(spool)
                throw error
            }
            await flush(spool)
            gateway.shutdown()
            return exit
        }
    }

    private func fleetTLS() throws(AgentError) -> FleetTLS? {
        guard let files = configuration.tls else { return nil }
        do throws(TLSError) {
            return try FleetTLS(
                files,
                reloadEvery: configuration.tlsReload,
                process: "agent",
                metrics: metrics,
                logger: logger
            )
        } catch {
            throw AgentError(.badCertificate, "TLS cannot be set up", cause: error)
        }
    }

    private func operate(gateway: GatewayClient, spool: TelemetrySpool, boot: String) async throws -> ProcessExit {
        let node = ROSNode(
            name: AgentNode.name(robot: configuration.robot),
            masterURI: configuration.rosMaster,
            host: configuration.rosHost,
            logger: quiet(logger),
            metrics: metrics
        )
        do {
            let recorder = try configuration.recording.map { directory throws(AgentError) in
                try Recorder(directory: directory, robot: configuration.robot, logger: logger)
            }
            let start = AgentStart(configuration: configuration, recorder: recorder, logger: logger)
            let (profile, policy, env) = try await cancelWhenGracefulShutdown {
                try await start.connect(node: node, gateway: gateway)
            }
            gateway.identify(profile: profile.name, rowTime: policy.actionPeriod)
            await spool.append(registration(boot: boot, profile: profile.name))
            let control = try startControl(profile: profile, policy: policy, env: env)
            await notifier.ready("drives the robot")
            isDriving.set()
            let session = RobotSession(
                configuration: configuration,
                policy: policy,
                boot: boot,
                node: node,
                env: env,
                control: control,
                controlNames: profile.controlNames(for: policy.actionNames),
                gateway: gateway,
                spool: spool,
                metrics: AgentMetrics(metrics),
                events: EventLog(spool: spool, logger: logger),
                recorder: recorder,
                readiness: readiness,
                reports: reports,
                logger: logger
            )
            let exit = try await session.run()
            recorder?.flush()
            await node.shutdown()
            return exit
        } catch {
            await node.shutdown()
            throw error
        }
    }

    private func startControl(
        profile: RobotProfile,
        policy: PolicyDescription,
        env: GrabBoxMpcEnv
    ) throws(AgentError) -> ControlThread {
        let names = profile.controlNames(for: policy.actionNames)
        let shape = configuration.shape
        // In sync mode a speed limit may stretch a chunk.
        let isStretched = shape.maximumVelocity != nil
        let isDryRun = configuration.isDryRun
        var session = SessionMachine.Configuration(
            queue: ActionQueue.Configuration(
                dimensions: names.count,
                claws: profile.claws,
                maximumRows: policy.chunkSize * (isStretched ? ChunkShape.longestStretch : 1),
                rate: profile.rate,
                period: policy.actionPeriod,
                stride: shape.stride,
                aggregate: configuration.aggregate,
                blendTicks: profile.rate.ticks(covering: configuration.blend)
            ),
            limits: SafetyGate.Limits(profile, dimensions: names.count, isPublishing: !isDryRun),
            home: profile.arm.homeRad,
            homingVelocity: profile.arm.homingVelocityRadS
        )
        session.openClaw = profile.claw.open
        session.wayPoints = profile.arm.wayPointsRad ?? []
        session.frozen = configuration.frozenArm?.dimensions(of: profile) ?? []
        session.latch = configuration.clawLatch
        session.maximumVelocity = shape.maximumVelocity
        session.isAttended = OperatorDesk.hasTerminal
        let control = ControlThread(
            machine: SessionMachine(session),
            orders: orders,
            settings: configuration.realTime,
            logger: logger,
            sense: { env.sense(at: $0, into: &$1) },
            publish: { if !isDryRun { env.publish($0) } }
        )
        try control.start()
        return control
    }

    private func registration(boot: String, profile: String) -> Groot_V1_RegisterRobotRequest {
        var request = Groot_V1_RegisterRobotRequest()
        request.robot = configuration.robot
        request.boot = boot
        request.profile = profile
        request.agentVersion = AgentVersion.current
        request.host = ProcessInfo.processInfo.hostName
        return request
    }

    /// Waits until everything is committed or the budget is spent, and says what remains.
    private func flush(_ spool: TelemetrySpool) async {
        let limit = MonotonicInstant.now() + configuration.flushTimeout
        while await spool.waitingCount > 0, MonotonicInstant.now() < limit {
            // Cancelled: what remains stays on disk.
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { break }
        }
        let remaining = await spool.waitingCount
        if remaining > 0 {
            logger.warning(
                "telemetry stays on disk and will be sent at the next start",
                metadata: ["waiting": "\(remaining)"]
            )
        }
        await spool.close()
    }

    private func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }
}

/// What `RegisterRobot` reports.
package enum AgentVersion {
    package static let current = "0.1.0"
}

/// Set once, by one thread; read by others.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// Carries the exit code out of the service group.
private final class ExitBox: Sendable {
    private let value: Mutex<ProcessExit>

    init(_ value: ProcessExit) {
        self.value = Mutex(value)
    }

    func store(_ exit: ProcessExit) { value.withLock { $0 = exit } }
    func load() -> ProcessExit { value.withLock { $0 } }
}
