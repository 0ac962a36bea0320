import GrootCore
import Logging
import ROS1

/// Looks at a robot without touching it: what the input contract says of it, and which services answer.
///
/// The contract is the one that `run` starts by; what it finds here it finds there.
struct RobotCheck: Sendable {
    struct TopicReport: Sendable {
        var topic: String
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
    }

    struct ServiceFinding: Sendable {
        var name: String
        var type = ""
        var md5 = ""
        var problem: String?
    }

    struct Report: Sendable {
        var topics: [TopicReport]
        var services: [ServiceFinding]
        var findings: [InputFinding]
        /// Worth knowing, but prevents nothing.
        var notes: [String]

        /// What prevents a start.
        var problems: [String] {
            findings.map(\.sentence) + services.compactMap { one in one.problem.map { "\(one.name): \($0)" } }
        }
    }

    /// Clocks further apart than this make stamps useless for people and recordings; the agent does without.
    static let clockTolerance = Duration.seconds(1)

    let profile: RobotProfile
    /// Cameras that the policy uses; nil when it is not known, and all of the profile count.
    let usedCameras: [String]?
    /// Inputs beside joints, claws and cameras; nil: all of the profile.
    let extras: [ObservationBuffers.Extra]?
    let commandsBase: Bool
    let node: ROSNode
    let logger: Logger
    /// How long to listen.
    let time: Duration

    func run() async throws -> Report {
        let offered = try await node.publishedTopics()
        let used = usedCameras ?? profile.cameras.map(\.key)
        let configuration = InputContract.Configuration(
            profile,
            cameraKeys: used,
            extras: extras ?? ObservationBuffers.Extra.allCases,
            commandsBase: commandsBase,
            unneeded: profile.cameras.map(\.key).filter { !used.contains($0) }
        )
        let inputs = try await RobotInputs(
            profile: profile,
            configuration: configuration,
            node: node,
            logger: logger
        )
        let start = MonotonicInstant.now()
        try await Task.sleep(for: max(time, RobotInputs.settleTime))
        let now = MonotonicInstant.now()
        let contract = inputs.snapshot
        let topics = configuration.demands.compactMap { demand in
            contract.tracks[demand.input].map { report($0, offered[demand.topic], from: start, to: now) }
        }
        return Report(
            topics: topics,
            services: await services(),
            findings: contract.findings(at: now),
            notes: notes(topics, contract, inputs.takeChanges(), at: now)
        )
    }

    private func report(
        _ track: InputTrack,
        _ offered: String?,
        from start: MonotonicInstant,
        to now: MonotonicInstant
    ) -> TopicReport {
        var report = TopicReport(topic: track.demand.topic)
        report.offeredType = offered
        report.md5 = track.roster.md5
        report.publisher = track.roster.names.joined(separator: ", ")
        report.rate = Double(track.heard) / max((now - start).seconds, 0.001)
        report.age = track.newest.map { now - $0 }
        report.stampAge = track.stamp.flatMap { stamp in
            track.newest.map { .nanoseconds(WallClock.unixNanoseconds() - (now - $0).nanoseconds - stamp) }
        }
        switch track.demand.input {
        case .camera: report.detail = track.form.map { "\($0)" } ?? ""
        case .joints: report.detail = track.total > 0 ? "\(track.total) joints" : ""
        case .claws: report.detail = track.total > 0 ? "\(track.total) claws" : ""
        case .extra: report.detail = track.total > 0 ? "\(track.total) values" : ""
        }
        return report
    }

    private func notes(
        _ topics: [TopicReport],
        _ contract: InputContract,
        _ changes: [InputChange],
        at now: MonotonicInstant
    ) -> [String] {
        var notes = contract.findingsOfUnneeded(at: now).map { "\($0.topic) (the policy does not use it): \($0.what)" }
        for case .noticed(let notice) in changes { notes.append(notice.sentence) }
        for topic in topics {
            guard let age = topic.stampAge, age > Self.clockTolerance || age < .zero - Self.clockTolerance else {
                continue
            }
            notes.append(
                "\(topic.topic): its clock is \((age.seconds * 100).rounded() / 100) s behind this machine's; the agent maps it, "
                    + "but recordings and people read stamps: run a time service on both"
            )
        }
        return notes
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
