import GrootCore

/// A call of the control plane, by its name in `groot.v1.Fleet` or `grpc.health.v1.Health`.
enum ControlCall: String, Sendable, CaseIterable {
    case registerRobot = "RegisterRobot"
    case startEpisode = "StartEpisode"
    case finishEpisode = "FinishEpisode"
    case reportTelemetry = "ReportTelemetry"
    case assignRunConfig = "AssignRunConfig"
    case registerWorker = "RegisterWorker"
    case check = "Check"
    case watch = "Watch"

    /// What the body of the call is about.
    enum Subject: Sendable {
        case robot
        case worker
        case nobody
    }

    var subject: Subject {
        switch self {
        case .registerRobot, .startEpisode, .finishEpisode, .reportTelemetry, .assignRunConfig: .robot
        case .registerWorker: .worker
        case .check, .watch: .nobody
        }
    }
}

/// Who may write what into the control plane: the verified identity against the name in the body, for every call.
///
/// Pure. The data plane says who it verified in `groot-peer`, which it takes away from whatever a caller sends; without
/// certificates nobody is verified, and the network is the only fence. A robot writes its own episodes only, a worker
/// registers itself and writes none, operators (load tests, evaluation, people) and other gateways speak for any robot.
enum ControlRules {
    /// Nil when the call is allowed.
    ///
    /// - Parameter peers: values of `groot-peer`.
    /// - Parameter speakers: values of `groot-robot`.
    /// - Parameter name: of the robot or worker that the body is about.
    static func refusal(_ call: ControlCall, of peers: [String], speaking speakers: [String], about name: String)
        -> String?
    {
        // Two identities are none.
        guard peers.count <= 1 else { return "the call carries \(peers.count) identities" }
        if call.subject == .robot {
            for speaker in speakers where speaker != name {
                return "metadata groot-robot says \"\(clipped(speaker))\", the request speaks for \"\(clipped(name))\""
            }
        }
        guard let peer = peers.first else { return nil }
        guard let identity = PeerIdentity(uri: PeerIdentity.scheme + peer) else {
            return "the identity \(clipped(peer)) is none"
        }
        let isAllowed =
            switch (call.subject, identity.kind) {
            case (.nobody, _): true
            case (.robot, .robot), (.worker, .worker): identity.name == name
            case (.robot, .operator), (.robot, .gateway), (.worker, .operator): true
            case (.robot, .worker), (.worker, .robot), (.worker, .gateway): false
            }
        guard !isAllowed else { return nil }
        let what = call.subject == .worker ? "to register worker" : "to speak for robot"
        return "the certificate of \(identity) does not allow \(what) \"\(clipped(name))\""
    }

    private static func clipped(_ text: String) -> String {
        PeopleText.clean(text, limit: FieldLimit.name)
    }
}
