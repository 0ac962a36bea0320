import ArgumentParser
import Foundation
import GrootAdmin
import GrootCore
import Logging
import ROS1
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Runs one simulated robot on ROS.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run one simulated robot that speaks the real robot's ROS topics and services.",
        discussion: """
            Brings its own ROS master unless --master or ROS_MASTER_URI names one. Extras of the simulation: \
            service /groot_sim/reset, topics /groot_sim/outcome (latched) and /groot_sim/status.
            """
    )

    @Option(help: "Name of the robot in logs.") var robot = "r1"
    @Option(help: "Port of the embedded ROS master; 0 picks a free one. (default: 11311)") var masterPort: Int?
    @Option(help: "URI of a running ROS master, instead of the embedded one.") var master: String?
    @Option(help: "Seed of the first scene.") var seed: Int64 = 1
    @Option(help: "Task sentence of the first episode; the scene's own when left out.") var task = ""
    @Option(help: "Images per second and camera.") var cameraRate = 10.0
    @Option(help: "Image size, WIDTHxHEIGHT.") var cameraSize = "96x96"
    @Option(help: "Cameras to offer, of head, chest, left, right, left_wrist, right_wrist, side.")
    var cameras = "head,chest"
    @Option(help: "Address of the admin listener (/livez, /readyz, /metrics); none when left out.") var admin: String?
    @Option(help: "Log level: trace, debug, info, notice, warning, error.") var logLevel = "info"

    /// Where an embedded master listens unless told otherwise.
    static let defaultMasterPort = 11311

    func validate() throws {
        _ = try size()
        _ = try cameraNames()
        guard cameraRate > 0, cameraRate <= 60 else {
            throw ValidationError("--camera-rate must be above 0 and at most 60")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level \(logLevel) is unknown")
        }
        if master != nil && masterPort != nil { throw ValidationError("--master and --master-port exclude each other") }
        if let masterPort, !(0...65535).contains(masterPort) {
            throw ValidationError("--master-port must be 0 to 65535")
        }
    }

    private func size() throws -> (Int, Int) {
        let parts = cameraSize.split(separator: "x").compactMap { Int($0) }
        guard parts.count == 2, (8...CameraRenderer.maximumWidth).contains(parts[0]),
            (8...CameraRenderer.maximumHeight).contains(parts[1])
        else {
            throw ValidationError(
                "--camera-size must be WIDTHxHEIGHT, at most \(CameraRenderer.maximumWidth)x\(CameraRenderer.maximumHeight)"
            )
        }
        return (parts[0], parts[1])
    }

    private func cameraNames() throws -> [String] {
        let names = cameras.split(separator: ",").map(String.init)
        for name in names where RobotMessages.cameraTopics[name] == nil {
            throw ValidationError(
                "there is no camera \(name); choose from \(RobotMessages.cameraTopics.keys.sorted().joined(separator: ", "))"
            )
        }
        guard Set(names).count == names.count, !names.isEmpty else {
            throw ValidationError("--cameras \(cameras): name each camera once, and at least one")
        }
        return names
    }

    func run() async throws {
        LogSetup.bootstrap(level: Logger.Level(rawValue: logLevel) ?? .info)
        // llvmpipe would start threads of its own and fight with physics for the cores.
        SoftwareRendering.useCallingThread()
        var logger = Logger(label: "groot-sim")
        logger[metadataKey: "robot"] = "\(robot)"
        let (width, height) = try size()
        let metrics = MetricsRegistry()
        let environment = ProcessInfo.processInfo.environment["ROS_MASTER_URI"].flatMap { $0.isEmpty ? nil : $0 }
        let named = master ?? (masterPort == nil ? environment : nil)
        var embedded: ROSMaster?
        var uri = named ?? ""
        do {
            if named == nil {
                let port = masterPort ?? Self.defaultMasterPort
                let server = ROSMaster(port: port, logger: logger)
                do {
                    uri = "http://127.0.0.1:\(try await server.start())"
                } catch {
                    throw ListenError("the embedded ROS master", on: "127.0.0.1:\(port)", cause: error)
                }
                embedded = server
            }
            let node = ROSNode(name: "/groot_sim", masterURI: uri, logger: logger, metrics: metrics)
            try await node.start()
            let ready = Mutex(false)
            let address = uri
            let simulated = SimulatedRobot(
                configuration: .init(
                    robot: robot,
                    seed: seed,
                    task: task,
                    cameraRate: cameraRate,
                    cameraWidth: width,
                    cameraHeight: height,
                    cameras: try cameraNames()
                ),
                node: node,
                metrics: metrics,
                logger: logger
            ) { [logger] in
                ready.withLock { $0 = true }
                logger.info("The simulated robot is up", metadata: ["peer": "\(address)"])
            }
            var services: [any Service] = [simulated]
            if let admin {
                guard case .tcp(let host, let port) = try Endpoint(parsing: admin, defaultPort: 8071) else {
                    throw ValidationError("--admin must be HOST:PORT")
                }
                services.append(
                    AdminService(
                        server: AdminServer(host: host, port: port, metrics: metrics, logger: logger) {
                            ready.withLock { $0 } ? nil : "the robot's topics are not offered yet"
                        }
                    )
                )
            }
            let group = ServiceGroup(
                configuration: .init(
                    services: services.map { .init(service: $0) },
                    gracefulShutdownSignals: [.sigterm, .sigint],
                    logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() }
                )
            )
            try await group.run()
        } catch let error as ROSError {
            await embedded?.stop()
            logger.error("ROS cannot be used", metadata: ["error": "\(error)", "peer": "\(uri)"])
            throw ExitCode(ProcessExit.unavailable.rawValue)
        } catch let error as ListenError {
            await embedded?.stop()
            logger.error("\(error)")
            throw ExitCode(ProcessExit.cannotListen.rawValue)
        } catch let error as EndpointError {
            await embedded?.stop()
            throw ValidationError("--admin: \(error)")
        } catch {
            await embedded?.stop()
            logger.error("The simulated robot stops", metadata: ["error": "\(error)"])
            throw ExitCode(ProcessExit.failed.rawValue)
        }
        await embedded?.stop()
        logger.info("The simulated robot stopped as asked")
    }
}

/// The admin listener as a member of the service group.
private struct AdminService: Service {
    let server: AdminServer

    func run() async throws { try await server.run() }
}
