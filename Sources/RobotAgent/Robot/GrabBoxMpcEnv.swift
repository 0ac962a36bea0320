import Foundation
package import GrootCore
import GrootImaging
package import Logging
package import ROS1
import Synchronization

/// The robot as the agent sees it: what it measures, and where its commands go.
///
/// ROS callbacks (event-loop threads) write into `ObservationBuffers` behind a mutex that covers only
/// the exchange of values; the uplink aligns an observation out of it on demand.
package final class GrabBoxMpcEnv: ObservationSource {
    package typealias Aligned = ObservationBuffers.Aligned

    package let profile: RobotProfile
    private let node: ROSNode
    private let logger: Logger
    private let cameras: [RobotProfile.Camera]
    private let extras: [ObservationBuffers.Extra]
    private let buffers: Mutex<ObservationBuffers>
    private let jointsHeard = Atomic<Int64>(.min)
    /// What the control thread reads.
    private let measurement: MeasuredPose
    private let frames = FrameSignal()
    private let refusedImages = Mutex(RateLimit(every: .seconds(5)))
    private let commands: CommandPublisher
    /// Sees every message that comes in and goes out; nil without `--record`.
    private let tap: (any MessageTap)?

    /// Subscribes to everything the profile, `cameraKeys` and `extras` name. `node` is started and outlives the
    /// environment.
    ///
    /// - Parameter commandsBase: the policy commands height and pitch of the base too.
    package init(
        profile: RobotProfile,
        cameraKeys: [String],
        extras: [ObservationBuffers.Extra] = [],
        commandsBase: Bool = false,
        node: ROSNode,
        tap: (any MessageTap)? = nil,
        logger: Logger
    ) async throws(ROSError) {
        self.profile = profile
        self.node = node
        self.logger = logger
        self.tap = tap
        self.extras = extras
        self.cameras = profile.cameras.filter { cameraKeys.contains($0.key) }
        measurement = MeasuredPose(arms: profile.armJoints.count, claws: profile.claws.count)
        self.buffers = Mutex(
            ObservationBuffers(
                cameras: cameras.map(\.key),
                extras: extras,
                maximumSkew: .milliseconds(Int64(profile.limits.maximumSkewMs))
            )
        )
        commands = try await CommandPublisher(profile: profile, commandsBase: commandsBase, node: node, tap: tap)
        _ = try await node.subscribe(profile.topics.jointState, to: SensorsData.self) { [weak self] message, receipt in
            self?.heard(message, receipt)
        }
        _ = try await node.subscribe(profile.topics.clawState, to: LejuClawState.self) { [weak self] message, receipt in
            self?.heard(message, receipt)
        }
        for camera in cameras { try await subscribe(to: camera) }
        for extra in extras { try await subscribe(to: extra) }
    }

    private func subscribe(to camera: RobotProfile.Camera) async throws(ROSError) {
        if camera.isCompressed == true {
            _ = try await node.subscribe(camera.topic, to: CompressedImage.self) { [weak self] message, receipt in
                self?.tap?.received(message, topic: camera.topic, at: receipt.receivedAt)
                self?.heard(
                    Picture(message),
                    "\(message.format), \(message.data.count) bytes, is no JPEG file",
                    stamp: message.header.stamp,
                    camera,
                    receipt
                )
            }
            return
        }
        _ = try await node.subscribe(camera.topic, to: ROSImage.self) { [weak self] message, receipt in
            self?.tap?.received(message, topic: camera.topic, at: receipt.receivedAt)
            self?.heard(
                CameraFrame(message).map(Picture.pixels),
                "\(message.encoding) \(message.width)x\(message.height), \(message.data.count) bytes",
                stamp: message.header.stamp,
                camera,
                receipt
            )
        }
    }

    private func subscribe(to extra: ObservationBuffers.Extra) async throws(ROSError) {
        guard let topic = profile.topic(of: extra) else { return }
        switch extra {
        case .linearAcceleration, .angularVelocity:
            _ = try await node.subscribe(topic, to: Float64MultiArray.self) { [weak self] message, receipt in
                self?.tap?.received(message, topic: topic, at: receipt.receivedAt)
                self?.heard(message.data.map { Float($0) }, extra, topic, atLeast: 3, receipt)
            }
        case .body:
            let length = (RobotProfile.bodyIndices.max() ?? 0) + 1
            _ = try await node.subscribe(topic, to: MPCObservation.self) { [weak self] message, receipt in
                self?.tap?.received(message, topic: topic, at: receipt.receivedAt)
                self?.heard(message.state.value, extra, topic, atLeast: length, receipt)
            }
        }
    }

    private func heard(
        _ values: [Float],
        _ extra: ObservationBuffers.Extra,
        _ topic: String,
        atLeast length: Int,
        _ receipt: ROSReceipt
    ) {
        guard values.count >= length, values.allSatisfy(\.isFinite) else {
            refuse(topic: topic, "\(values.count) values, or one that is not finite")
            return
        }
        buffers.withLock { $0.extraArrived(values, extra, at: receipt.receivedAt) }
    }

    /// The newest aligned observation, or nil while an input is missing.
    package func newest() -> Aligned? {
        buffers.withLock { $0.newest() }
    }

    /// Suspends until another image arrives or `limit` has passed.
    package func nextFrame(limit: Duration) async {
        await frames.wait(limit: limit)
    }

    /// Measured arm joints (rad) and claws (0 to 100) now.
    package var measuredPose: [Float]? {
        buffers.withLock { buffers in
            guard let joints = buffers.latestJoints, let claws = buffers.latestClaws else { return nil }
            return joints + claws
        }
    }

    /// Age of the newest joint state; any thread, no lock.
    package func jointStateAge(at now: MonotonicInstant) -> Duration? {
        let heard = jointsHeard.load(ordering: .relaxed)
        return heard == .min ? nil : now - MonotonicInstant(nanoseconds: heard)
    }

    /// What one control tick knows of the robot. Control thread: allocates nothing, waits for nobody.
    package func sense(at now: MonotonicInstant, into inputs: inout ControlInputs) {
        inputs.stateAge = jointStateAge(at: now)
        measurement.read(into: &inputs)
    }

    /// Time between two images of the slowest camera.
    package var cameraPeriod: Duration {
        .microseconds(Int64((cameras.map(\.periodMs).max() ?? 33.4) * 1000))
    }

    /// Topics that were never heard or fell silent.
    package func silentTopics(at now: MonotonicInstant) -> [String] {
        let heard = buffers.withLock { $0.lastHeard }
        let limits = profile.limits
        var inputs: [(topic: String, key: String, limit: Double)] = [
            (profile.topics.jointState, "joints", limits.staleJointStateMs),
            (profile.topics.clawState, "claws", limits.staleCameraMs),
        ]
        inputs += cameras.map { ($0.topic, $0.key, limits.staleCameraMs) }
        inputs += extras.compactMap { extra in
            profile.topic(of: extra).map { ($0, extra.rawValue, limits.staleCameraMs) }
        }
        return inputs.compactMap { input in
            guard let last = heard[input.key] ?? nil else { return input.topic }
            return (now - last).milliseconds > input.limit ? input.topic : nil
        }
    }

    /// Waits until every topic is heard.
    ///
    /// - Throws: `AgentError` that names the silent topics after `timeout`.
    package func waitUntilReady(timeout: Duration) async throws {
        let start = MonotonicInstant.now()
        var report = RateLimit(every: .seconds(2))
        while true {
            let now = MonotonicInstant.now()
            let silent = silentTopics(at: now)
            if silent.isEmpty, newest() != nil { return }
            guard now - start < timeout else {
                let reason =
                    silent.isEmpty
                    ? "images and joint state never fitted together (check the publishers' stamps)"
                    : "nothing was heard on \(silent.joined(separator: ", "))"
                throw AgentError(.unavailable, "the robot is not ready after \(timeout.seconds) s: \(reason)")
            }
            if report.admit(at: now) != nil {
                for topic in silent { logger.info("waiting for a topic", metadata: ["topic": "\(topic)"]) }
            }
            await nextFrame(limit: .milliseconds(100))
            try Task.checkCancellation()
        }
    }

    /// Publishes one command: arms in rad, claws 0 to 100, then height and pitch. Called by the control thread.
    package func publish(_ command: [Float]) { commands.publish(command) }

    private func heard(_ message: SensorsData, _ receipt: ROSReceipt) {
        tap?.received(message, topic: profile.topics.jointState, at: receipt.receivedAt)
        let angles = message.joints.q
        guard let last = profile.jointIndices.max(), last < angles.count else {
            refuse(
                topic: profile.topics.jointState,
                "\(angles.count) joints, the profile reads joint \(last(of: profile))"
            )
            return
        }
        let values = profile.jointIndices.map { Float(angles[$0]) }
        guard values.allSatisfy(\.isFinite) else {
            refuse(topic: profile.topics.jointState, "a joint angle is not finite")
            return
        }
        let torque = message.joints.torque
        measurement.armsMeasured(
            values,
            torque: last < torque.count ? profile.jointIndices.map { Float(torque[$0]) } : []
        )
        jointsHeard.store(receipt.receivedAt.nanoseconds, ordering: .relaxed)
        let stamp = message.header.stamp.nanoseconds
        buffers.withLock { $0.jointsArrived(values, stamp: stamp, at: receipt.receivedAt) }
    }

    private func heard(_ message: LejuClawState, _ receipt: ROSReceipt) {
        tap?.received(message, topic: profile.topics.clawState, at: receipt.receivedAt)
        let positions = message.data.position
        guard let last = profile.claw.stateIndices.max(), last < positions.count else {
            refuse(topic: profile.topics.clawState, "\(positions.count) claws")
            return
        }
        let values = profile.claw.stateIndices.map { Float(positions[$0]) }
        guard values.allSatisfy(\.isFinite) else {
            refuse(topic: profile.topics.clawState, "a claw position is not finite")
            return
        }
        let stamp = message.header.stamp.nanoseconds
        measurement.clawsMeasured(values)
        buffers.withLock { $0.clawsArrived(values, stamp: stamp, at: receipt.receivedAt) }
    }

    private func heard(
        _ picture: Picture?,
        _ otherwise: @autoclosure () -> String,
        stamp: ROSTime,
        _ camera: RobotProfile.Camera,
        _ receipt: ROSReceipt
    ) {
        guard let picture else {
            refuse(topic: camera.topic, otherwise())
            return
        }
        let stamped = StampedFrame(stamp: stamp.nanoseconds, picture: picture)
        buffers.withLock { $0.imageArrived(stamped, camera: camera.key, at: receipt.receivedAt) }
        frames.signal()
    }

    private func refuse(topic: String, _ reason: String) {
        guard let suppressed = refusedImages.withLock({ $0.admit(at: .now()) }) else { return }
        logger.warning(
            "a message cannot be used",
            metadata: ["topic": "\(topic)", "error": "\(reason)", "suppressed": "\(suppressed)"]
        )
    }

    private func last(of profile: RobotProfile) -> Int { profile.jointIndices.max() ?? 0 }
}

extension ROSTime {
    /// Nanoseconds since 1970 on the publisher's clock.
    package var nanoseconds: Int64 { Int64(sec) * 1_000_000_000 + Int64(nsec) }
}
