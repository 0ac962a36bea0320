import Foundation
import GrootAPI
import GrootAdmin
package import GrootCore
import GrootSecurity
import Logging
import ROS1
import ServiceLifecycle
import Synchronization
import UnixSignals

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
    private let metrics = MetricsRegistry()
    private let readiness = LatestValue<String>()
    private let notifier: ServiceNotifier

    package init(configuration: AgentConfiguration) {
        var logger = Logger(label: "agent")
        logger[metadataKey: "robot"] = "\(configuration.robot)"
        self.logger = logger
        self.configuration = configuration
        notifier = ServiceNotifier(
            environment: ProcessInfo.processInfo.environment,
            processIdentifier: ProcessInfo.processInfo.processIdentifier,
            logger: logger
        )
    }

    /// Runs under signal handling: `SIGINT` and `SIGTERM` end the run gracefully.
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
                gracefulShutdownSignals: [.sigint, .sigterm],
                logger: quiet(logger)
            )
        )
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
            return try await supervised()
        } catch let error as AgentError {
            logger.error("\(error.message)", metadata: error.cause.map { ["error": "\($0)"] } ?? [:])
            return error.exit
        } catch is CancellationError {
            logger.info("stopped before the robot moved")
            return .ok
        } catch {
            logger.error("the run failed", metadata: ["error": "\(error)"])
            return .failed
        }
    }

    private func supervised() async throws -> ProcessExit {
        let tls = try fleetTLS()
        let gateway = try GatewayClient(
            endpoint: configuration.gateway,
            robot: configuration.robot,
            checkpoint: configuration.checkpoint,
            tls: tls
        )
        let boot = UUID().uuidString.lowercased()
        let spool = try TelemetrySpool(
            directory: configuration.stateDirectory.appending(path: "spool"),
            robot: configuration.robot,
            boot: boot,
            logger: logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await gateway.run() }
            if let tls { group.addTask { try await tls.run() } }
            group.addTask { [notifier] in try await notifier.run() }
            group.addTask { await spool.run(to: gateway) }
            if case .tcp(let host, let port)? = configuration.admin {
                group.addTask { [metrics, logger, readiness] in
                    try await AdminServer(host: host, port: port, metrics: metrics, logger: logger) {
                        readiness.peek()
                    }.run()
                }
            }
            defer { group.cancelAll() }
            let exit = try await operate(gateway: gateway, spool: spool, boot: boot)
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
            name: "/groot_agent_\(configuration.robot.replacing("-", with: "_"))",
            masterURI: configuration.rosMaster,
            host: configuration.rosHost,
            logger: quiet(logger),
            metrics: metrics
        )
        do {
            let start = AgentStart(configuration: configuration, logger: logger)
            let (profile, policy, env) = try await cancelWhenGracefulShutdown {
                try await start.connect(node: node, gateway: gateway)
            }
            await spool.append(registration(boot: boot, profile: profile.name))
            let control = try startControl(profile: profile, policy: policy, env: env)
            await notifier.ready("drives the robot")
            let session = RobotSession(
                configuration: configuration,
                policy: policy,
                boot: boot,
                node: node,
                env: env,
                control: control,
                gateway: gateway,
                spool: spool,
                metrics: AgentMetrics(metrics),
                readiness: readiness,
                logger: logger
            )
            let exit = try await session.run()
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
        let core = ControlCore(
            queue: ActionQueue.Configuration(
                dimensions: profile.dimensions,
                claws: profile.claws,
                maximumRows: policy.chunkSize,
                aggregate: configuration.aggregate,
                blendTicks: Int(configuration.blend.milliseconds / 10)
            ),
            limits: SafetyGate.Limits(profile)
        )
        let control = ControlThread(
            core: core,
            logger: logger,
            stateAge: { env.jointStateAge(at: $0) },
            publish: { env.publish($0) }
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

/// Carries the exit code out of the service group.
private final class ExitBox: Sendable {
    private let value: Mutex<ProcessExit>

    init(_ value: ProcessExit) {
        self.value = Mutex(value)
    }

    func store(_ exit: ProcessExit) { value.withLock { $0 = exit } }
    func load() -> ProcessExit { value.withLock { $0 } }
}

extension SafetyGate.Limits {
    /// The profile's limits, arms then claws.
    package init(_ profile: RobotProfile) {
        let claw = profile.claw
        let claws = profile.claws.count
        self.init(
            minimum: profile.arm.minimumRad + Array(repeating: min(claw.open, claw.closed), count: claws),
            maximum: profile.arm.maximumRad + Array(repeating: max(claw.open, claw.closed), count: claws),
            velocity: profile.arm.maximumVelocityRadS + Array(repeating: .infinity, count: claws),
            firstActionTolerance: profile.arm.firstActionToleranceRad,
            arms: profile.armJoints,
            hold: .milliseconds(Int64(profile.limits.holdMs)),
            staleState: .milliseconds(Int64(profile.limits.staleJointStateMs)),
            stop: .milliseconds(Int64(profile.limits.stopMs))
        )
    }
}
