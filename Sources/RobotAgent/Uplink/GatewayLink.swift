import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
package import GrootAPI
package import GrootCore
package import GrootSecurity

/// One gateway as one robot sees it: gRPC on one connection that repairs itself, in cleartext or both ways
/// authenticated.
///
/// `run` must be running for anything else to work.
package struct GatewayLink: Sendable {
    package let endpoint: GrootCore.Endpoint
    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let robot: String

    /// Time a control-plane call may take.
    private static let controlPlaneTimeout: Duration = .seconds(10)

    /// - Parameter tls: whom to believe; nil speaks cleartext.
    package init(
        endpoint: GrootCore.Endpoint,
        robot: String,
        tls: FleetTLS? = nil
    ) throws(AgentError) {
        self.endpoint = endpoint
        self.robot = robot
        do {
            let target: any ResolvableTarget =
                switch endpoint {
                case .unix(let path): .unixDomainSocket(path: path)
                case .tcp(let host, let port) where host.contains(":"): .ipv6(address: host, port: port)
                // As a name it would go into the TLS handshake, where an address is not allowed.
                case .tcp(let host, let port) where Self.isIPv4(host): .ipv4(address: host, port: port)
                case .tcp(let host, let port): .dns(host: host, port: port)
                }
            // A robot in motion cannot wait for gRPC's usual second to two minutes between two attempts.
            let transport = try HTTP2ClientTransport.Posix(
                target: target,
                transportSecurity: tls?.client(to: endpoint.host, expecting: [.gateway]) ?? .plaintext,
                config: .defaults {
                    $0.backoff = .init(initial: .milliseconds(50), max: .seconds(1), multiplier: 1.6, jitter: 0.2)
                }
            )
            client = GRPCClient(transport: transport)
        } catch {
            throw AgentError(.usage, "the gateway address \(endpoint) cannot be used", cause: error)
        }
    }

    private static func isIPv4(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }

    package func run() async throws {
        try await client.runConnections()
    }

    package func shutdown() {
        client.beginGracefulShutdown()
    }

    /// What a worker serves.
    ///
    /// - Parameter checkpoint: asks a worker that serves this one; nil asks any.
    package func describe(_ checkpoint: String? = nil, timeout: Duration) async throws -> [PolicyDescription] {
        var options = CallOptions.defaults
        options.timeout = timeout
        let response = try await Groot_V1_Inference.Client(wrapping: client)
            .describe(Groot_V1_DescribeRequest(), metadata: selecting(checkpoint), options: options)
        return try response.policies.map { try PolicyDescription($0) }
    }

    /// Answer of `infer` with what the gateway adds to it.
    package struct Answer: Sendable {
        package var response: Groot_V1_InferResponse
        package var worker: String
        package var attempts: UInt32
        /// The gateway is busy and wants the next observation not before this time.
        package var nextObservationAfter: Duration?
        /// The request had been sent twice.
        package var wasHedged = false
    }

    /// - Parameters:
    ///   - runway: motion time left at sending; never negative on the wire.
    ///   - robotClass: by which the gateway counts and times requests: the profile's name.
    ///   - rowTime: time between two rows as the robot executes them.
    package func infer(
        _ request: Groot_V1_InferRequest,
        runway: Duration,
        timeout: Duration,
        robotClass: String? = nil,
        rowTime: Duration? = nil
    ) async throws -> Answer {
        var options = CallOptions.defaults
        options.timeout = timeout
        options.waitForReady = false
        var metadata = selecting(request.checkpoint)
        metadata.addString("\(max(0, Int64(runway.milliseconds)))", forKey: MetadataKey.runway)
        metadata.addString("\(request.observationIndex)", forKey: MetadataKey.observation)
        metadata.addString(request.requestID, forKey: MetadataKey.requestID)
        if let rowTime {
            metadata.addString("\(max(1, Int64(rowTime.milliseconds.rounded())))", forKey: MetadataKey.actionPeriod)
        }
        if let robotClass { metadata.addString(robotClass, forKey: MetadataKey.robotClass) }
        return try await Groot_V1_Inference.Client(wrapping: client)
            .infer(request, metadata: metadata, options: options) { response in
                let message = try response.message
                let attempts = response.metadata.text(MetadataKey.attempts).flatMap(UInt32.init)
                return Answer(
                    response: message,
                    worker: response.metadata.text(MetadataKey.worker) ?? message.worker,
                    attempts: attempts ?? 1,
                    nextObservationAfter: response.metadata.nextObservationAfter
                )
            }
    }

    package func register(_ request: Groot_V1_RegisterRobotRequest) async throws {
        _ = try await fleet.registerRobot(request, metadata: identity, options: controlPlane)
    }

    package func start(_ request: Groot_V1_StartEpisodeRequest) async throws {
        _ = try await fleet.startEpisode(request, metadata: identity, options: controlPlane)
    }

    package func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws {
        _ = try await fleet.finishEpisode(request, metadata: identity, options: controlPlane)
    }

    package func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64 {
        try await fleet.reportTelemetry(request, metadata: identity, options: controlPlane).committedSequence
    }

    package func runConfig(_ request: Groot_V1_AssignRunConfigRequest) async throws -> Groot_V1_AssignRunConfigResponse
    {
        try await fleet.assignRunConfig(request, metadata: identity, options: controlPlane)
    }

    private var fleet: Groot_V1_Fleet.Client<HTTP2ClientTransport.Posix> { .init(wrapping: client) }

    private var controlPlane: CallOptions {
        var options = CallOptions.defaults
        options.timeout = Self.controlPlaneTimeout
        return options
    }

    private var identity: Metadata { selecting(nil) }

    private func selecting(_ checkpoint: String?) -> Metadata {
        var metadata: Metadata = [:]
        metadata.addString(robot, forKey: MetadataKey.robot)
        if let checkpoint, !checkpoint.isEmpty { metadata.addString(checkpoint, forKey: MetadataKey.checkpoint) }
        return metadata
    }
}

extension GrootCore.Endpoint {
    /// What the gateway's certificate must carry; a unix socket has no name.
    fileprivate var host: String? {
        if case .tcp(let host, _) = self { host } else { nil }
    }
}

extension Metadata {
    /// What an overloaded gateway asks for, in answers and in refusals.
    package var nextObservationAfter: Duration? {
        text(MetadataKey.nextObservationAfter).flatMap(Int64.init).map { .milliseconds($0) }
    }

    fileprivate func text(_ key: String) -> String? {
        self[stringValues: key].first { _ in true }
    }
}
