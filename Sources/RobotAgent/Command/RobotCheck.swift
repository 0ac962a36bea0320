import Foundation
import GrootCore
import GrootImaging
import Logging
import ROS1
import Synchronization

/// Looks at a robot without touching it: what a profile needs against what is there.
struct RobotCheck: Sendable {
    struct TopicFinding: Sendable {
        var topic: String
        var expectedType: String
        var offeredType: String?
        var md5 = ""
        var publisher = ""
        /// Messages per second while looking.
        var rate = 0.0
        /// Since the newest message; nil when there was none.
        var age: Duration?
        /// Our wall clock minus the message's stamp, nil without a stamp.
        var stampAge: Duration?
        /// Image size and encoding, number of joints.
        var detail = ""
        var problem: String?
    }

    struct ServiceFinding: Sendable {
        var name: String
        var type = ""
        var md5 = ""
        var problem: String?
    }

    struct Report: Sendable {
        var topics: [TopicFinding]
        var services: [ServiceFinding]
        var problems: [String] {
            topics.compactMap { finding in finding.problem.map { "\(finding.topic): \($0)" } }
                + services.compactMap { finding in finding.problem.map { "\(finding.name): \($0)" } }
        }
    }

    /// Clocks further apart than this make stamps useless for people and recordings.
    static let clockTolerance = Duration.seconds(1)

    let profile: RobotProfile
    let node: ROSNode
    /// How long to listen.
    let time: Duration

    func run() async throws -> Report {
        let offered = try await node.publishedTopics()
        var probes: [TopicProbe] = []
        let joints = (profile.jointIndices.max() ?? 0) + 1
        probes.append(
            try await probe(profile.topics.jointState, SensorsData.self, stamp: { $0.header.stamp }) { message in
                let count = message.joints.q.count
                return (
                    "\(count) joints", count < joints ? "\(count) joints, the profile reads joint \(joints - 1)" : nil
                )
            }
        )
        probes.append(
            try await probe(profile.topics.clawState, LejuClawState.self, stamp: { $0.header.stamp }) { message in
                let count = message.data.position.count
                return ("\(count) claws", count < 2 ? "\(count) claws, expected 2" : nil)
            }
        )
        for camera in profile.cameras where camera.isCompressed == true {
            probes.append(
                try await probe(camera.topic, CompressedImage.self, stamp: { $0.header.stamp }) { image in
                    guard case .jpeg(let data)? = Picture(image),
                        let header = try? JPEGDecoder().header(of: data.span)
                    else {
                        return (image.format, "\(image.format), \(image.data.count) bytes: not usable, expected JPEG")
                    }
                    return ("\(header.width)x\(header.height) \(image.format)", nil)
                }
            )
        }
        for camera in profile.cameras where camera.isCompressed != true {
            probes.append(
                try await probe(camera.topic, ROSImage.self, stamp: { $0.header.stamp }) { image in
                    let text = "\(image.width)x\(image.height) \(image.encoding)"
                    return (text, CameraFrame(image) == nil ? "\(text) is not usable, expected rgb8" : nil)
                }
            )
        }
        for topic in [profile.topics.linearAcceleration, profile.topics.angularVelocity].compactMap({ $0 }) {
            probes.append(
                try await probe(topic, Float64MultiArray.self, stamp: { _ in nil }) { message in
                    ("\(message.data.count) values", message.data.count < 3 ? "expected 3 values" : nil)
                }
            )
        }
        if let topic = profile.topics.bodyState {
            probes.append(
                try await probe(topic, MPCObservation.self, stamp: { _ in nil }) { message in
                    ("\(message.state.value.count) values", nil)
                }
            )
        }
        let start = MonotonicInstant.now()
        try await Task.sleep(for: time)
        let spent = MonotonicInstant.now() - start
        let topics = probes.map { $0.finding(offered: offered[$0.topic], after: spent) }
        return Report(topics: topics, services: await services())
    }

    private func probe<Message: ROSMessage>(
        _ topic: String,
        _ type: Message.Type,
        stamp: @escaping @Sendable (Message) -> ROSTime?,
        judge: @escaping @Sendable (Message) -> (detail: String, problem: String?)
    ) async throws -> TopicProbe {
        let probe = TopicProbe(topic: topic, type: Message.rosType)
        _ = try await node.subscribe(topic, to: type) { message, receipt in
            let (detail, problem) = judge(message)
            let sent = stamp(message).map { $0.nanoseconds }
            probe.heard(receipt, stamp: sent, detail: detail, problem: problem)
        }
        return probe
    }

    private func services() async -> [ServiceFinding] {
        var findings: [ServiceFinding] = []
        var calls: [RobotProfile.ModeCall] = []
        for call in profile.prepare + profile.handBack where !calls.contains(where: { $0.service == call.service }) {
            calls.append(call)
        }
        for call in calls { findings.append(await service(call)) }
        return findings
    }

    private func service(_ call: RobotProfile.ModeCall) async -> ServiceFinding {
        let accepted: [String] =
            switch call.kind {
            case .armMode: [ChangeArmCtrlMode.md5]
            case .setBool: [SetBool.md5]
            case .quickMode: [SetBool.md5, ChangeLbQuickMode.md5]
            }
        var reason = ""
        for name in call.names {
            do {
                let found = try await node.describeService(name, timeout: .seconds(2))
                let problem =
                    accepted.contains(found.md5)
                    ? nil : "is \(found.type) (\(found.md5)), expected \(call.kind.rawValue)"
                return ServiceFinding(name: name, type: found.type, md5: found.md5, problem: problem)
            } catch {
                reason = "\(error)"
            }
        }
        let problem = call.isOptional == true ? nil : "does not answer (\(reason))"
        return ServiceFinding(name: call.names.joined(separator: " or "), problem: problem)
    }
}

/// What was heard on one topic. Event loops write, the check reads.
final class TopicProbe: Sendable {
    private struct State {
        var count = 0
        var last: MonotonicInstant?
        var md5 = ""
        var publisher = ""
        var detail = ""
        var problem: String?
        var stampAge: Duration?
    }

    let topic: String
    private let type: String
    private let state = Mutex(State())

    init(topic: String, type: String) {
        self.topic = topic
        self.type = type
    }

    func heard(_ receipt: ROSReceipt, stamp: Int64?, detail: String, problem: String?) {
        let wall = WallClock.unixNanoseconds()
        state.withLock { state in
            state.count += 1
            state.last = receipt.receivedAt
            state.md5 = receipt.md5
            state.publisher = receipt.publisher
            state.detail = detail
            state.problem = problem
            state.stampAge = stamp.map { .nanoseconds(wall - $0) }
        }
    }

    func finding(offered: String?, after time: Duration) -> RobotCheck.TopicFinding {
        let state = state.withLock { $0 }
        var finding = RobotCheck.TopicFinding(topic: topic, expectedType: type)
        finding.offeredType = offered
        finding.md5 = state.md5
        finding.publisher = state.publisher
        finding.rate = Double(state.count) / max(time.seconds, 0.001)
        finding.age = state.last.map { MonotonicInstant.now() - $0 }
        finding.stampAge = state.stampAge
        finding.detail = state.detail
        finding.problem = problem(state, offered)
        return finding
    }

    private func problem(_ state: State, _ offered: String?) -> String? {
        guard let offered else { return "nobody publishes it" }
        guard offered == type || offered == "*" else { return "is \(offered), expected \(type)" }
        guard state.count > 0 else {
            return "is announced but nothing came; a definition that this agent does not know is refused (see the log)"
        }
        if let problem = state.problem { return problem }
        if let age = state.stampAge, age > RobotCheck.clockTolerance || age < .zero - RobotCheck.clockTolerance {
            return "its stamps are \(age.seconds) s away from this machine's clock; run a time service on both"
        }
        return nil
    }
}
