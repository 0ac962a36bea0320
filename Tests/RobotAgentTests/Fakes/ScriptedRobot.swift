import Foundation
import GrootCore
import Logging
import ROS1
import Synchronization

@testable import RobotAgent

/// A robot that follows its commands perfectly, with two grey cameras and the simulator's extras.
final class ScriptedRobot: Sendable {
    private struct State {
        var pose: [Double]
        var claws: [Double] = [0, 0]
        var calls: [String] = []
        var commands = 0
        var worstStep = 0.0
        var lastCommand: [Double]?
        var episode = 0
        var seed: Int64 = 0
        var successAfter = Int.max
        var isChestCameraDead = false
        var isExternal = false
        var areJointsDead = false
        var isHeadCameraDead = false
        var history: [[Double]] = []
        var times: [MonotonicInstant] = []
    }

    private let node: ROSNode
    private let joints: ROSPublisher<SensorsData>
    private let clawState: ROSPublisher<LejuClawState>
    private let head: ROSPublisher<ROSImage>
    private let chest: ROSPublisher<ROSImage>
    private let outcome: ROSPublisher<StdString>
    private let state: Mutex<State>

    init(masterURI: String, logger: Logger) async throws {
        let home = try ProfileCatalog.load("simulator").arm.homeRad.map(Double.init)
        state = Mutex(State(pose: home))
        node = ROSNode(name: "/scripted_robot", masterURI: masterURI, logger: logger)
        try await node.start()
        joints = try await node.advertise("/sensors_data_raw", as: SensorsData.self, queue: 50)
        clawState = try await node.advertise("/leju_claw_state", as: LejuClawState.self)
        head = try await node.advertise("/camera/color/image_raw", as: ROSImage.self, queue: 2)
        chest = try await node.advertise("/chest_cam/color/image_raw", as: ROSImage.self, queue: 2)
        outcome = try await node.advertise("/groot_sim/outcome", as: StdString.self, latched: true)
        try await offerServices()
        _ = try await node.subscribe("/kuavo_arm_traj", to: JointState.self) { [weak self] message, receipt in
            self?.commanded(message.position.map { $0 * .pi / 180 }, at: receipt.receivedAt)
        }
        _ = try await node.subscribe("/leju_claw_command", to: LejuClawCommand.self) { [weak self] message, _ in
            self?.state.withLock { $0.claws = message.data.position }
        }
    }

    var calls: [String] { state.withLock { $0.calls } }
    /// Largest change of one joint between two consecutive commands, rad.
    var worstStep: Double { state.withLock { $0.worstStep } }
    var successAfterCommands: Int {
        get { state.withLock { $0.successAfter } }
        set { state.withLock { $0.successAfter = newValue } }
    }
    /// Every arm command with the claws as they were commanded last, since the last reset of the scene.
    var history: [[Double]] { state.withLock { $0.history } }
    /// When they came.
    var times: [MonotonicInstant] { state.withLock { $0.times } }
    var areJointsDead: Bool {
        get { state.withLock { $0.areJointsDead } }
        set { state.withLock { $0.areJointsDead = newValue } }
    }
    var isHeadCameraDead: Bool {
        get { state.withLock { $0.isHeadCameraDead } }
        set { state.withLock { $0.isHeadCameraDead = newValue } }
    }
    var isChestCameraDead: Bool {
        get { state.withLock { $0.isChestCameraDead } }
        set { state.withLock { $0.isChestCameraDead = newValue } }
    }

    /// Publishes joint state at about 200 Hz and images at about 30 Hz until cancelled.
    func pump() async {
        let start = MonotonicInstant.now()
        var index = 0
        var nextImage = start
        while !Task.isCancelled {
            let now = state.withLock { $0 }
            let (pose, claws) = (now.pose, now.claws)
            let header = ROSHeader(stamp: .now())
            var sensors = SensorsData(header: header, sensorTime: header.stamp)
            sensors.joints.q = [0, 0, 0, 0] + pose + [0, 0]
            if !now.areJointsDead { joints.publish(sensors) }
            clawState.publish(
                LejuClawState(header: header, state: [2, 2], data: EndEffectorData(name: ["l", "r"], position: claws))
            )
            if MonotonicInstant.now() >= nextImage {
                let image = ROSImage(
                    header: header,
                    height: 12,
                    width: 16,
                    encoding: "rgb8",
                    isBigEndian: 0,
                    step: 48,
                    data: Array(repeating: UInt8(index % 256), count: 576)
                )
                if !now.isHeadCameraDead { head.publish(image) }
                if !now.isChestCameraDead { chest.publish(image) }
                nextImage = nextImage + .milliseconds(33)
            }
            index += 1
            // Cancellation ends the loop.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    func shutdown() async {
        await node.shutdown()
    }

    private func commanded(_ target: [Double], at instant: MonotonicInstant) {
        let report: StdString? = state.withLock { state in
            guard state.isExternal, target.count == 14 else { return nil }
            if let last = state.lastCommand {
                for (new, old) in zip(target, last) { state.worstStep = max(state.worstStep, abs(new - old)) }
            }
            state.lastCommand = target
            state.history.append(target + state.claws)
            state.times.append(instant)
            state.pose = target
            state.commands += 1
            guard state.episode > 0, state.commands == state.successAfter else { return nil }
            return StdString(
                data: #"{"episode":\#(state.episode),"seed":\#(state.seed),"outcome":"success","reason":"scripted"}"#
            )
        }
        if let report { outcome.publish(report) }
    }

    private func offerServices() async throws {
        try await node.advertiseService("/wheel_arm_change_arm_ctrl_mode", as: ChangeArmCtrlMode.self) {
            [weak self] request in
            self?.state.withLock {
                $0.calls.append("arm_mode \(request.controlMode)")
                $0.isExternal = request.controlMode == 2
            }
            return ChangeArmCtrlModeResponse(result: true, mode: request.controlMode, message: "")
        }
        try await node.advertiseService("/enable_lb_arm_quick_mode", as: SetBool.self) { [weak self] request in
            self?.state.withLock { $0.calls.append("quick_mode \(request.data)") }
            return SetBoolResponse(success: true, message: "")
        }
        try await node.advertiseService("/groot_sim/reset", as: GrootSimReset.self) { [weak self] request in
            self?.state.withLock {
                $0.calls.append("reset \(request.seed) \(request.task)")
                $0.episode += 1
                $0.seed = request.seed
                $0.commands = 0
                $0.lastCommand = nil
                $0.history = []
                $0.times = []
            }
            return GrootSimResetResponse(success: true, message: "")
        }
    }
}
