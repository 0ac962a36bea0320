import Foundation
import GrootCore
import Logging
import ROS1
import ServiceLifecycle
import Synchronization
import Testing

@testable import Simulator

/// The robot as an agent sees it: through its own ROS node and an embedded master.
@Suite struct SimulatedRobotSerialTests {
    @Test func sensorMessagesPutTheArmsAtFour() {
        let arms = (0..<16).map(Double.init)
        let message = RobotMessages.sensors(
            sequence: 3,
            stamp: ROSTime(sec: 1, nsec: 2),
            position: arms,
            velocity: arms,
            acceleration: arms,
            torque: arms,
            head: [0.5, 0.25]
        )
        #expect(message.joints.q == [0, 0, 0, 0] + (0..<14).map(Double.init) + [0.5, 0.25])
        #expect(message.joints.v.count == 20)
        #expect(message.joints.vd.count == 20)
        #expect(message.joints.torque.count == 20)
        #expect(message.sensorTime == ROSTime(sec: 1, nsec: 2))
    }

    @Test func clawStateTellsMovingFromReached() {
        let message = RobotMessages.claws(
            sequence: 1,
            stamp: ROSTime(),
            position: [50, 100],
            velocity: [0, 0],
            effort: [0, 0],
            target: [100, 100]
        )
        #expect(message.state == [LejuClawState.moving, LejuClawState.reached])
        #expect(message.data.name == ["left_claw", "right_claw"])
    }

    @Test(.timeLimit(.minutes(2))) func anAgentDrivesTheRobotOverROS() async throws {
        try await withRobot { agent in
            let joints = LatestValue<[Double]>()
            let image = LatestValue<ROSImage>()
            let outcome = LatestValue<EpisodeReport>()
            let received = Atomic<Int>(0)
            _ = try await agent.subscribe("/sensors_data_raw", to: SensorsData.self) { message, _ in
                received.add(1, ordering: .relaxed)
                joints.store(message.joints.q)
            }
            _ = try await agent.subscribe("/chest_cam/color/image_raw", to: ROSImage.self) { message, _ in
                image.store(message)
            }
            _ = try await agent.subscribe("/groot_sim/outcome", to: StdString.self) { message, _ in
                let decoder = JSONDecoder()
                decoder.keyDecodingStrategy = .convertFromSnakeCase
                // What does not decode never satisfies the conditions below.
                if let report = try? decoder.decode(EpisodeReport.self, from: Data(message.data.utf8)) {
                    outcome.store(report)
                }
            }
            let targets = try await agent.advertise("/kuavo_arm_traj", as: JointState.self)
            try await poll {
                received.load(ordering: .relaxed) > 100 && image.peek() != nil && targets.subscriberCount == 1
            }
            #expect(joints.peek()?.count == 20)
            let picture = try #require(image.peek())
            #expect(picture.encoding == "rgb8")
            #expect(picture.data.count == 64 * 48 * 3)
            #expect(picture.header.stamp.sec > 0)
            #expect(outcome.peek()?.outcome == "running")

            let early = try await agent.callService(
                "/enable_lb_arm_quick_mode",
                as: SetBool.self,
                request: .init(data: true),
                timeout: .seconds(5)
            )
            #expect(!early.success)
            let mode = try await agent.callService(
                "/wheel_arm_change_arm_ctrl_mode",
                as: ChangeArmCtrlMode.self,
                request: .init(controlMode: 2),
                timeout: .seconds(5)
            )
            #expect(mode.result && mode.mode == 2)
            let quick = try await agent.callService(
                "/enable_lb_arm_quick_mode",
                as: SetBool.self,
                request: .init(data: true),
                timeout: .seconds(5)
            )
            #expect(quick.success)

            // A malformed target changes nothing; a good one is followed.
            targets.publish(JointState(position: [90]))
            var goal = HomePosture.joints
            goal[3] += 0.3
            targets.publish(JointState(position: goal.map { $0 * 180 / .pi }))
            try await poll { abs((joints.peek()?[4 + 3] ?? 0) - goal[3]) < 0.05 }

            let reset = try await agent.callService(
                "/groot_sim/reset",
                as: GrootSimReset.self,
                request: .init(seed: 42, task: "take the purple box", options: "{\"timeout_s\":1}"),
                timeout: .seconds(10)
            )
            #expect(reset.success)
            try await poll { outcome.peek()?.episode == 2 }
            #expect(outcome.peek()?.task == "take the purple box")
            let start = SceneVariation(seed: 42).startPosture
            try await poll { abs((joints.peek()?[4 + 3] ?? 0) - start[3]) < 0.05 }
            // The episode's clock starts with the first obeyed target.
            targets.publish(JointState(position: HomePosture.joints.map { $0 * 180 / .pi }))
            try await poll { outcome.peek()?.outcome == "timeout" }

            let bad = try await agent.callService(
                "/groot_sim/reset",
                as: GrootSimReset.self,
                request: .init(options: "nonsense"),
                timeout: .seconds(5)
            )
            #expect(!bad.success)
        }
    }

    @Test(.timeLimit(.minutes(3))) func aTransferStreamedOverROSSucceeds() async throws {
        let commands = try Self.recordedTransfer(seed: 7)
        try await withRobot { agent in
            let outcome = LatestValue<String>()
            let arms = try await agent.advertise("/kuavo_arm_traj", as: JointState.self)
            let claws = try await agent.advertise("/leju_claw_command", as: LejuClawCommand.self)
            _ = try await agent.subscribe("/groot_sim/outcome", to: StdString.self) { message, _ in
                outcome.store(message.data)
            }
            try await poll { arms.subscriberCount == 1 && claws.subscriberCount == 1 }
            _ = try await agent.callService(
                "/groot_sim/reset",
                as: GrootSimReset.self,
                request: .init(seed: 7),
                timeout: .seconds(10)
            )
            _ = try await agent.callService(
                "/wheel_arm_change_arm_ctrl_mode",
                as: ChangeArmCtrlMode.self,
                request: .init(controlMode: 2),
                timeout: .seconds(5)
            )
            _ = try await agent.callService(
                "/enable_lb_arm_quick_mode",
                as: SetBool.self,
                request: .init(data: true),
                timeout: .seconds(5)
            )
            // The sensor stream is the clock: five 500 Hz messages are one 100 Hz tick.
            let received = Atomic<Int>(0)
            _ = try await agent.subscribe("/sensors_data_raw", to: SensorsData.self) { _, _ in
                let count = received.add(1, ordering: .relaxed).newValue
                guard count % 5 == 0, count / 5 <= commands.count else { return }
                let command = commands[count / 5 - 1]
                arms.publish(JointState(position: command.prefix(14).map { $0 * 180 / .pi }))
                claws.publish(
                    LejuClawCommand(
                        data: EndEffectorData(name: ["left_claw", "right_claw"], position: Array(command.suffix(2)))
                    )
                )
            }
            try await poll { outcome.peek()?.contains("\"running\"") == false }
            #expect(outcome.peek()?.contains("\"success\"") == true)
        }
    }

    /// The expert's 100 Hz commands for one episode, recorded in lock step.
    private static func recordedTransfer(seed: UInt64) throws -> [[Double]] {
        let cell = try Cell(seed: seed, cameras: false)
        var expert = Expert(target: cell.target)
        var commands: [[Double]] = []
        while cell.judge.verdict == nil {
            let start = cell.command
            let plan = expert.plan(
                command: start,
                measured: cell.world.state,
                cartons: cell.world.cartons
            )
            for tick in 1...10 {
                let share = Double(tick) / 10
                commands.append(zip(start, plan.rows[0]).map { $0 + ($1 - $0) * share })
            }
            cell.advance(to: plan.rows[0])
        }
        #expect(cell.judge.verdict?.outcome == .success)
        return commands
    }

    /// Runs a robot with its master and hands an agent's node to `body`; ends everything afterwards.
    private func withRobot(_ body: (ROSNode) async throws -> Void) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let master = ROSMaster(port: 0, logger: logger)
        let uri = "http://127.0.0.1:\(try await master.start())"
        let node = ROSNode(name: "/groot_sim", masterURI: uri, logger: logger)
        try await node.start()
        let up = Atomic<Bool>(false)
        let robot = SimulatedRobot(
            configuration: .init(
                robot: "t",
                seed: 1,
                task: "",
                cameraRate: 10,
                cameraWidth: 64,
                cameraHeight: 48,
                cameras: ["head", "chest"]
            ),
            node: node,
            metrics: MetricsRegistry(),
            logger: logger
        ) { up.store(true, ordering: .relaxed) }
        let running = Task { try await robot.run() }
        let agent = ROSNode(name: "/agent", masterURI: uri, logger: logger)
        do {
            try await agent.start()
            try await poll { up.load(ordering: .relaxed) }
            try await body(agent)
        } catch {
            Issue.record(error)
        }
        await agent.shutdown()
        running.cancel()
        try await running.value
        await master.stop()
    }

    /// Waits until `condition` holds, at most 30 s.
    private func poll(_ condition: () -> Bool) async throws {
        let limit = MonotonicInstant.now() + .seconds(30)
        while !condition() {
            try #require(MonotonicInstant.now() < limit, "the condition did not come true in time")
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
