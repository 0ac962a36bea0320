import GrootAPI
import GrootCore
import HTTP2

/// What the gateway reads from request headers, and the headers it passes on. Pure.
struct RequestHead: Sendable {
    let route: Route
    /// Nil when the robot did not say.
    let robot: String?
    /// Nil or a checkpoint's name; never empty.
    let checkpoint: String?
    let requestID: String?
    let robotClass: String?
    let observation: UInt64
    /// Motion that the robot had left when it sent the request.
    let runway: Duration?
    let traceparent: String?
    let deadline: MonotonicInstant
    private let passedOn: HTTP2Headers

    /// Milliseconds; a chunk is seconds long.
    static let longestRunway: Int64 = 3_600_000
    /// What `headers(attempt:at:)` adds at most.
    static let addedSize = 160
    /// Longest name of a robot, bytes.
    static let longestName = 128

    /// What is wrong with a request, with the answer it gets.
    enum Refusal: Error, Equatable {
        case grpc(GRPCStatus)
        /// A compression that is not understood.
        case encoding(GRPCStatus)
        /// More headers than workers accept: HTTP 431 with a status.
        case headers(GRPCStatus)
        /// Not gRPC at all: a plain HTTP status.
        case http(Int)
    }

    /// - Parameter peer: what TLS says of who asks.
    init(
        _ headers: HTTP2Headers,
        from peer: TLSPeer? = nil,
        at now: MonotonicInstant,
        configuration: GatewayConfiguration
    ) throws(Refusal) {
        // Exactly these: what else there is, workers refuse, which would look like their fault.
        guard let type = headers["content-type"], type == "application/grpc" || type == "application/grpc+proto" else {
            throw .http(415)
        }
        guard headers[":method"] == "POST" else { throw .http(405) }
        let path = headers[":path"] ?? ""
        route = Route(path: path)
        let named = headers[MetadataKey.robot]
        if let refusal = PeerRules.refusal(peer, route: route, robot: named) { throw .grpc(refusal) }
        let identity = peer?.identity
        // A robot that its certificate names need not repeat itself.
        robot = named ?? (identity?.kind == .robot ? identity?.name : nil)
        checkpoint = headers[MetadataKey.checkpoint].flatMap { $0.isEmpty ? nil : $0 }
        requestID = headers[MetadataKey.requestID]
        robotClass = headers[MetadataKey.robotClass]
        traceparent = headers[MetadataKey.traceparent]
        observation = headers[MetadataKey.observation].flatMap { UInt64($0) } ?? 0
        if let text = headers[MetadataKey.runway] {
            guard let milliseconds = Int64(text), (0...Self.longestRunway).contains(milliseconds) else {
                throw .grpc(
                    GRPCStatus(
                        .invalidArgument,
                        "metadata \(MetadataKey.runway) is \"\(text.prefix(32))\"; expected milliseconds from 0 to \(Self.longestRunway)"
                    )
                )
            }
            runway = .milliseconds(milliseconds)
        } else {
            runway = nil
        }
        if let encoding = headers["grpc-encoding"], encoding != "identity" {
            let what = "grpc-encoding \"\(encoding.prefix(32))\" is not understood, only identity is"
            throw .encoding(GRPCStatus(.unimplemented, what))
        }
        if let length = headers["content-length"].flatMap({ Int($0) }), length > configuration.bodyLimit {
            throw .grpc(Self.tooLarge(configuration.bodyLimit))
        }
        if let text = headers["grpc-timeout"] {
            guard let timeout = GRPCTimeout.parse(text) else {
                throw .grpc(GRPCStatus(.invalidArgument, "grpc-timeout \"\(text)\" is malformed"))
            }
            deadline = now + min(timeout, configuration.longestTimeout)
        } else {
            deadline = now + configuration.defaultTimeout
        }
        var passedOn = headers.removing([
            "grpc-timeout", "grpc-previous-rpc-attempts", "te", MetadataKey.worker, MetadataKey.attempts,
            MetadataKey.peer,
        ])
        if named == nil, let robot { passedOn.add(MetadataKey.robot, robot) }
        if let identity { passedOn.add(MetadataKey.peer, "\(identity)") }
        // To workers the gateway is the client, and says so as they want it.
        passedOn.add("te", "trailers")
        self.passedOn = passedOn
        switch route {
        case .unknown:
            throw .grpc(GRPCStatus(.unimplemented, "the gateway does not serve \(path)"))
        case .inference(method: "Infer") where robot?.isEmpty ?? true:
            throw .grpc(
                GRPCStatus(.invalidArgument, "metadata \(MetadataKey.robot) is missing: name the robot that asks")
            )
        case .inference where (robot?.utf8.count ?? 0) > Self.longestName:
            throw .grpc(
                GRPCStatus(
                    .invalidArgument,
                    "metadata \(MetadataKey.robot) has \(robot?.utf8.count ?? 0) bytes; at most \(Self.longestName) are accepted"
                )
            )
        case .inference, .control: break
        }
        guard passedOn.listSize + Self.addedSize <= configuration.workerHeaderListSize else {
            throw .headers(
                GRPCStatus(
                    .resourceExhausted,
                    "the header list has \(passedOn.listSize + Self.addedSize) bytes; workers accept "
                        + "\(configuration.workerHeaderListSize) (worker-max-header-list-size)"
                )
            )
        }
    }

    /// What the scheduler is told.
    func schedulerRequest(_ id: RequestID, at now: MonotonicInstant) -> SchedulerRequest {
        let isWork = route == .inference(method: "Infer")
        return SchedulerRequest(
            id: id,
            robot: isWork ? robot ?? "" : "",
            checkpoint: checkpoint,
            observation: observation,
            call: requestID.map(StableHash.of) ?? 0,
            dryAt: runway.map { now + $0 },
            arrivedAt: now,
            isWork: isWork
        )
    }

    static func tooLarge(_ limit: Int) -> GRPCStatus {
        GRPCStatus(.resourceExhausted, "the request body exceeds \(limit) bytes (max-body-size)")
    }

    /// The headers of attempt number `attempt` (from 1), with the time that is left.
    func headers(attempt: Int, at now: MonotonicInstant) -> HTTP2Headers {
        var headers = passedOn
        headers.add("grpc-timeout", GRPCTimeout.format(deadline - now))
        if attempt > 1 { headers.add("grpc-previous-rpc-attempts", "\(attempt - 1)") }
        return headers
    }
}
