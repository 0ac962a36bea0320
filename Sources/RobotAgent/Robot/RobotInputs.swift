import Foundation
package import GrootCore
package import Logging
package import ROS1
import Synchronization

/// Everything the robot says, judged by the input contract before anything of it is used.
///
/// ROS callbacks (event-loop threads) ask the contract about each message and write what it lets through into
/// `ObservationBuffers`; each sits behind a mutex that covers only the exchange of values. One task ticks the contract
/// and one asks the master for the graph, as long as the inputs exist. The control thread reads interlocks, age and pose without waiting.
package final class RobotInputs: ObservationSource {
    package typealias Aligned = ObservationBuffers.Aligned

    /// How often the contract looks at the time; a silent input is noticed so much later at most.
    static let tickInterval = Duration.milliseconds(20)
    /// How often the master is asked, beside each change that it tells of by itself.
    static let graphInterval = Duration.seconds(1)
    /// What is wrong for this long, and is more than a topic that may still begin, refuses a start.
    static let settleTime = Duration.seconds(2)
    /// Changes that wait to be read.
    static let changeCapacity = 256

    package let profile: RobotProfile
    private let node: ROSNode
    private let logger: Logger
    private let cameras: [RobotProfile.Camera]
    private let extras: [ObservationBuffers.Extra]
    private let reading: InputReading
    private let contract: Mutex<InputContract>
    private let buffers: Mutex<ObservationBuffers>
    /// What the control thread reads.
    private let measurement: MeasuredPose
    private let commandedPose: CommandedPose
    /// When the newest joint and claw states were measured.
    private let jointsMeasured = Atomic<Int64>(.min)
    private let clawsMeasured = Atomic<Int64>(.min)
    private let interlockBits = Atomic<UInt32>(0)
    private let clawLimit: Duration
    private let jointLimit: Duration
    private let frames = FrameSignal()
    private let changes = Mutex<[InputChange]>([])
    private let connections = Mutex<Connections>(Connections())
    private let graphSignal = FrameSignal()
    private let watch = Mutex<[Task<Void, Never>]>([])
    /// Sees every message that comes in; nil without `--record`.
    private let tap: (any MessageTap)?

    /// Wrapped, because a closure kept bare in a `Mutex` gains a thunk at every access.
    private struct Connections {
        var counts: (@Sendable () -> [(topic: String, count: Int)])?
    }

    /// Subscribes to everything that `configuration` demands. `node` is started and outlives the inputs.
    package init(
        profile: RobotProfile,
        configuration: InputContract.Configuration,
        node: ROSNode,
        tap: (any MessageTap)? = nil,
        logger: Logger
    ) async throws(ROSError) {
        self.profile = profile
        self.node = node
        self.logger = logger
        self.tap = tap
        reading = InputReading(profile: profile)
        contract = Mutex(InputContract(configuration))
        cameras = profile.cameras.filter { camera in
            configuration.demands.contains { $0.input == .camera(camera.key) }
        }
        extras = ObservationBuffers.Extra.allCases.filter { extra in
            configuration.demands.contains { $0.input == .extra(extra) }
        }
        measurement = MeasuredPose(arms: profile.armJoints.count, claws: profile.claws.count)
        commandedPose = CommandedPose(arms: profile.armJoints.count)
        jointLimit = .milliseconds(Int64(profile.limits.staleJointStateMs))
        clawLimit = .milliseconds(Int64(profile.limits.staleClawStateMs ?? profile.limits.staleJointStateMs))
        buffers = Mutex(
            ObservationBuffers(
                cameras: cameras.map(\.key),
                extras: extras,
                maximumSkew: .milliseconds(Int64(profile.limits.maximumSkewMs)),
                maximumStateDistance: jointLimit
            )
        )
        try await subscribe()
        for topic in configuration.commands {
            try await node.watchPublishers(of: topic, type: "*") { [weak self] in self?.graphSignal.signal() }
        }
        var graph = CommandGraph(node: node, topics: configuration.commands)
        await look(&graph)
        startWatching(graph)
    }

    deinit {
        stopWatching()
    }

    /// What the robot does from here on is somebody else's business.
    func stopWatching() {
        for task in watch.withLock({ $0 }) { task.cancel() }
    }

    // MARK: What was measured

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

    /// Time between two images of the slowest camera.
    package var cameraPeriod: Duration {
        .microseconds(Int64((cameras.map(\.periodMs).max() ?? 33.4) * 1000))
    }

    /// Topics of which nothing usable comes.
    package func silentTopics(at now: MonotonicInstant) -> [String] {
        findings(at: now).map(\.topic)
    }

    /// What one control tick knows of the robot. Control thread: allocates nothing, waits for nobody.
    package func sense(at now: MonotonicInstant, into inputs: inout ControlInputs) {
        let joints = Self.age(of: jointsMeasured, at: now)
        let claws = Self.age(of: clawsMeasured, at: now)
        inputs.stateAge = joints
        inputs.interlocks = Interlocks(rawValue: interlockBits.load(ordering: .relaxed))
        // Not only at the contract's next tick.
        if joints.map({ $0 > jointLimit }) ?? true || claws.map({ $0 > clawLimit }) ?? true {
            inputs.interlocks.insert(.blind)
        }
        measurement.read(into: &inputs)
    }

    private static func age(of instant: borrowing Atomic<Int64>, at now: MonotonicInstant) -> Duration? {
        let measured = instant.load(ordering: .relaxed)
        return measured == .min ? nil : now - MonotonicInstant(nanoseconds: measured)
    }

    // MARK: The contract

    package func findings(at now: MonotonicInstant) -> [InputFinding] {
        contract.withLock { $0.findings(at: now) }
    }

    /// The contract as it is, for a report.
    package var snapshot: InputContract { contract.withLock { $0 } }

    /// What changed since the last call.
    package func takeChanges() -> [InputChange] {
        changes.withLock { changes in
            defer { changes = [] }
            return changes
        }
    }

    /// This agent offers the commanded topics now; `counts` says how many subscribers each has.
    package func commandsOffered(_ counts: @escaping @Sendable () -> [(topic: String, count: Int)]) {
        connections.withLock { $0.counts = counts }
        contract.withLock { contract in
            for (topic, count) in counts() { contract.subscribersConnected(count, to: topic) }
        }
    }

    /// The arms as they are commanded. Control thread: allocates nothing.
    package func commanded(_ command: [Float]) { commandedPose.commanded(command) }

    /// How long nothing may be found before a start: a stamp that stands still shows only with time.
    static let wellTime = Duration.milliseconds(500)

    /// Waits until nothing prevents a start.
    ///
    /// - Throws: `AgentError` that names each finding: of topics that stay silent after `timeout`, of others as soon as they
    ///   have stood for a while.
    package func waitUntilReady(timeout: Duration) async throws {
        let start = MonotonicInstant.now()
        var settling = SettlingFindings(time: Self.settleTime)
        var wellSince: MonotonicInstant?
        var report = RateLimit(every: .seconds(2))
        // What the last look saw may be a second old.
        var graph = CommandGraph(node: node, topics: snapshot.configuration.commands)
        await look(&graph)
        while true {
            let now = MonotonicInstant.now()
            let findings = findings(at: now)
            let isWell = findings.isEmpty && newest() != nil
            wellSince = isWell ? wellSince ?? now : nil
            if let wellSince, now - wellSince >= Self.wellTime {
                // What was found before the start is in the log, and no event of an episode.
                _ = takeChanges()
                return
            }
            let settled = settling.found(findings, at: now)
            guard settled.isEmpty else { throw Self.refusal(settled) }
            guard now - start < timeout else {
                if !findings.isEmpty { throw Self.refusal(findings) }
                throw AgentError(
                    .unavailable,
                    "the robot is not ready after \(timeout.seconds) s: "
                        + "images and joint state never fitted together (check the publishers' stamps)"
                )
            }
            if report.admit(at: now) != nil {
                for finding in findings { logger.info("waiting: \(finding.sentence)") }
            }
            await nextFrame(limit: .milliseconds(100))
            try Task.checkCancellation()
        }
    }

    private static func refusal(_ findings: [InputFinding]) -> AgentError {
        AgentError(findings[0].refusal, "the robot is not ready: \(findings.map(\.sentence).joined(separator: "\n"))")
    }
}

// MARK: Watching

extension RobotInputs {
    private func startWatching(_ initial: CommandGraph) {
        let inputs: @Sendable () -> RobotInputs? = { [weak self] in self }
        let signal = graphSignal
        let ticking = Task {
            while !Task.isCancelled, inputs()?.tick() != nil {
                // Sleep ends early only by cancellation, which the loop condition sees.
                try? await Task.sleep(for: Self.tickInterval)
            }
        }
        let asking = Task {
            var graph = initial
            while !Task.isCancelled {
                await signal.wait(limit: Self.graphInterval)
                guard let inputs = inputs() else { return }
                await inputs.look(&graph)
            }
        }
        watch.withLock { $0 = [ticking, asking] }
    }

    private func look(_ graph: inout CommandGraph) async {
        do throws(ROSError) {
            let topics = try await graph.look()
            contract.withLock { $0.commandsSeen(topics) }
        } catch {
            // The node's own watch says that the master is gone; connections that stand go on without it.
            logger.debug("the graph is not known", metadata: ["error": "\(error)"])
        }
    }

    private func tick() {
        let now = MonotonicInstant.now()
        let isSuperseded = node.isSuperseded
        let counts = connections.withLock { $0.counts }?() ?? []
        let commanded = commandedPose.newest
        let (changed, interlocks) = contract.withLock { contract in
            if isSuperseded { contract.superseded() }
            for (topic, count) in counts { contract.subscribersConnected(count, to: topic) }
            contract.commanded(commanded, at: now)
            return (contract.ticked(now), contract.interlocks)
        }
        interlockBits.store(interlocks.rawValue, ordering: .relaxed)
        guard !changed.isEmpty else { return }
        for change in changed { logger.log(level: change.level, "\(change.sentence)") }
        changes.withLock { changes in
            changes += changed
            if changes.count > Self.changeCapacity { changes.removeFirst(changes.count - Self.changeCapacity) }
        }
    }
}

// MARK: Subscriptions

extension RobotInputs {
    private func subscribe() async throws(ROSError) {
        try await follow(.joints, profile.topics.jointState, SensorsData.self) { inputs, message, receipt in
            inputs.heard(message, receipt)
        }
        try await follow(.claws, profile.topics.clawState, LejuClawState.self) { inputs, message, receipt in
            inputs.heard(message, receipt)
        }
        for camera in cameras {
            let input = RobotInput.camera(camera.key)
            if camera.isCompressed == true {
                try await follow(input, camera.topic, CompressedImage.self) { inputs, message, receipt in
                    inputs.heard(PictureReading(message), message.header.stamp, camera.key, receipt)
                }
            } else {
                try await follow(input, camera.topic, ROSImage.self) { inputs, message, receipt in
                    inputs.heard(PictureReading(message), message.header.stamp, camera.key, receipt)
                }
            }
        }
        for extra in extras {
            guard let topic = profile.topic(of: extra) else { continue }
            switch extra {
            case .linearAcceleration, .angularVelocity:
                try await follow(.extra(extra), topic, Float64MultiArray.self) { inputs, message, receipt in
                    inputs.heard(message.data.map { Float($0) }, extra, receipt)
                }
            case .body:
                try await follow(.extra(extra), topic, MPCObservation.self) { inputs, message, receipt in
                    inputs.heard(message.state.value, extra, receipt)
                }
            }
        }
    }

    private func follow<Message: ROSMessage>(
        _ input: RobotInput,
        _ topic: String,
        _ type: Message.Type,
        heard: @escaping @Sendable (RobotInputs, Message, ROSReceipt) -> Void
    ) async throws(ROSError) {
        _ = try await node.subscribe(topic, to: type) { [weak self] event in
            self?.contract.withLock { $0.publisherChanged(event, of: input, at: .now()) }
        } handler: { [weak self] message, receipt in
            guard let self else { return }
            tap?.received(message, topic: topic, at: receipt.receivedAt)
            heard(self, message, receipt)
        }
    }

    /// Asks the contract; returns when the message was measured, or nil when it must not be used.
    private func admit(
        _ content: InputContent,
        on input: RobotInput,
        stamp: ROSTime?,
        _ receipt: ROSReceipt
    ) -> MonotonicInstant? {
        contract.withLock {
            $0.arrived(
                content,
                on: input,
                from: receipt.publisher,
                stamp: stamp?.nanoseconds,
                at: receipt.receivedAt
            )
        }
    }

    private func heard(_ message: SensorsData, _ receipt: ROSReceipt) {
        let (content, values, torque) = reading.joints(message)
        guard let captured = admit(content, on: .joints, stamp: message.header.stamp, receipt) else { return }
        measurement.armsMeasured(values, torque: torque)
        jointsMeasured.store(captured.nanoseconds, ordering: .relaxed)
        buffers.withLock { $0.jointsArrived(values, capturedAt: captured, at: receipt.receivedAt) }
    }

    private func heard(_ message: LejuClawState, _ receipt: ROSReceipt) {
        let (content, values) = reading.claws(message)
        guard let captured = admit(content, on: .claws, stamp: message.header.stamp, receipt) else { return }
        measurement.clawsMeasured(values)
        clawsMeasured.store(captured.nanoseconds, ordering: .relaxed)
        buffers.withLock { $0.clawsArrived(values, capturedAt: captured, at: receipt.receivedAt) }
    }

    private func heard(_ reading: PictureReading, _ stamp: ROSTime, _ key: String, _ receipt: ROSReceipt) {
        guard let captured = admit(reading.content, on: .camera(key), stamp: stamp, receipt),
            let picture = reading.picture
        else { return }
        buffers.withLock { $0.imageArrived(picture, camera: key, capturedAt: captured, at: receipt.receivedAt) }
        frames.signal()
    }

    private func heard(_ values: [Float], _ extra: ObservationBuffers.Extra, _ receipt: ROSReceipt) {
        guard admit(reading.extra(values, extra), on: .extra(extra), stamp: nil, receipt) != nil else { return }
        buffers.withLock { $0.extraArrived(values, extra, at: receipt.receivedAt) }
    }
}

extension ROSTime {
    /// Nanoseconds since 1970 on the publisher's clock.
    package var nanoseconds: Int64 { Int64(sec) * 1_000_000_000 + Int64(nsec) }
}
