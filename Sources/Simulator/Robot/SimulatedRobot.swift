import Foundation
import GrootCore
import Logging
import ROS1
import ServiceLifecycle

/// One simulated wheeled robot on ROS: topics, services, physics and cameras, until it is asked to stop.
struct SimulatedRobot: Service {
    struct Configuration: Sendable {
        var robot: String
        var seed: Int64
        var task: String
        var cameraRate: Double
        var cameraWidth: Int
        var cameraHeight: Int
        /// Names from `RobotMessages.cameraTopics`.
        var cameras: [String]
    }

    let configuration: Configuration
    /// A started node; the robot shuts it down.
    let node: ROSNode
    let metrics: MetricsRegistry
    let logger: Logger
    /// Called once everything is offered.
    let isUp: @Sendable () -> Void

    private struct ResetOptions: Decodable {
        var timeoutS: Double?
        var place: TargetPlacement?
    }

    func run() async throws {
        do {
            try await serve()
        } catch {
            await node.shutdown()
            throw error
        }
        await node.shutdown()
    }

    private func serve() async throws {
        let cell = RobotCell()
        let instruments = SimulatorMetrics(metrics)
        let physics = PhysicsLoop(
            cell: cell,
            sensors: try await node.advertise(RobotMessages.sensorsTopic, as: SensorsData.self, queue: 50),
            claws: try await node.advertise(RobotMessages.clawStateTopic, as: LejuClawState.self, queue: 20),
            outcome: try await node.advertise(RobotMessages.outcomeTopic, as: StdString.self, latched: true),
            status: try await node.advertise(RobotMessages.statusTopic, as: StdString.self),
            metrics: instruments,
            logger: logger,
            seed: configuration.seed,
            task: configuration.task
        )
        var publishers: [(name: String, publisher: ROSPublisher<ROSImage>)] = []
        for camera in configuration.cameras {
            guard let topic = RobotMessages.cameraTopics[camera] else { continue }
            publishers.append((camera, try await node.advertise(topic, as: ROSImage.self, queue: 2)))
        }
        let cameras = CameraLoop(
            cell: cell,
            cameras: publishers,
            width: configuration.cameraWidth,
            height: configuration.cameraHeight,
            rate: configuration.cameraRate,
            metrics: instruments
        )
        try await offerServices(cell)
        let subscriptions = try await follow(cell)
        let loops = [LoopThread(), LoopThread()]
        isUp()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await loops[0].run(name: "physics") { try physics.run($0) } }
            group.addTask { try await loops[1].run(name: "cameras") { try cameras.run($0) } }
            // One thread that ends (stop or failure) ends the other.
            do {
                try await group.next()
            } catch {
                for loop in loops { loop.stop() }
                throw error
            }
            for loop in loops { loop.stop() }
            try await group.waitForAll()
        }
        for subscription in subscriptions { await subscription.cancel() }
    }

    private func offerServices(_ cell: RobotCell) async throws {
        try await node.advertiseService(RobotMessages.armModeService, as: ChangeArmCtrlMode.self) { [logger] request in
            let (answer, mode) = cell.modeRequested(request.controlMode)
            logger.info("Arm mode requested", metadata: ["answer": "\(answer.message)"])
            return ChangeArmCtrlModeResponse(result: answer.accepted, mode: mode, message: answer.message)
        }
        try await node.advertiseService(RobotMessages.quickModeService, as: SetBool.self) { [logger] request in
            let answer = cell.quickModeRequested(request.data)
            logger.info("Quick mode requested", metadata: ["answer": "\(answer.message)"])
            return SetBoolResponse(success: answer.accepted, message: answer.message)
        }
        try await node.advertiseService(RobotMessages.clawService, as: ControlLejuClaw.self) { request in
            let accepted = cell.clawTargetReceived(request.data.position)
            return ControlLejuClawResponse(
                success: accepted,
                message: accepted ? "" : "two claw positions 0 to 100 are needed"
            )
        }
        try await node.advertiseService(RobotMessages.resetService, as: GrootSimReset.self) { request in
            var limits = EpisodeJudge.Limits()
            var placement = TargetPlacement.upper
            if !request.options.isEmpty {
                let options: ResetOptions
                do {
                    let decoder = JSONDecoder()
                    decoder.keyDecodingStrategy = .convertFromSnakeCase
                    options = try decoder.decode(ResetOptions.self, from: Data(request.options.utf8))
                } catch {
                    return GrootSimResetResponse(
                        success: false,
                        message: "options must be a JSON object like {\"timeout_s\":30,\"place\":\"upper\"} "
                            + "(place: upper, lower or random): \(error)"
                    )
                }
                if let timeout = options.timeoutS {
                    guard timeout > 0, timeout <= 3600 else {
                        return GrootSimResetResponse(
                            success: false,
                            message: "timeout_s must be above 0 and at most 3600"
                        )
                    }
                    limits.timeout = timeout
                }
                placement = options.place ?? placement
            }
            let result = await cell.reset(
                seed: request.seed,
                task: request.task,
                placement: placement,
                limits: limits
            )
            return GrootSimResetResponse(success: result.success, message: result.message)
        }
    }

    private func follow(_ cell: RobotCell) async throws -> [ROSSubscription] {
        let complaints = RefusalLog(logger: logger)
        return [
            try await node.subscribe(RobotMessages.armTopic, to: JointState.self) { message, receipt in
                if let refusal = cell.armTargetReceived(degrees: message.position) {
                    complaints.refused(refusal.message, topic: RobotMessages.armTopic, at: receipt.receivedAt)
                }
            },
            try await node.subscribe(RobotMessages.clawTopic, to: LejuClawCommand.self) { message, receipt in
                if !cell.clawTargetReceived(message.data.position) {
                    complaints.refused(
                        "a claw command needs two finite positions",
                        topic: RobotMessages.clawTopic,
                        at: receipt.receivedAt
                    )
                }
            },
            try await node.subscribe(RobotMessages.headTopic, to: RobotHeadMotionData.self) { message, receipt in
                if !cell.headRequested(degrees: message.jointData) {
                    complaints.refused(
                        "the head takes yaw within 80 and pitch within 25 degrees",
                        topic: RobotMessages.headTopic,
                        at: receipt.receivedAt
                    )
                }
            },
        ]
    }
}
