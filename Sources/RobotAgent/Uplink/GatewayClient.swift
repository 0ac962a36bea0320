import GRPCCore
package import GrootAPI
package import GrootCore
package import GrootSecurity
package import Logging
import Synchronization

/// The gateways of one robot: requests stay with one of them and go to the next when it fails.
///
/// Any task. `run` must be running for anything else to work.
package final class GatewayClient: FleetReporting {
    package typealias Answer = GatewayLink.Answer

    private let links: [GatewayLink]
    private let choice: Mutex<GatewayChoice>
    /// The profile's name, once it is known: which robot that is may be found out from the robot itself.
    private let traits = Mutex<(robotClass: String?, rowTime: Duration?)>((nil, nil))
    private let logger: Logger

    /// - Parameter tls: whom to believe; nil speaks cleartext.
    package init(
        endpoints: [GrootCore.Endpoint],
        robot: String,
        tls: FleetTLS? = nil,
        logger: Logger
    ) throws(AgentError) {
        guard !endpoints.isEmpty else { throw AgentError(.usage, "--gateway names no gateway") }
        links = try endpoints.map { endpoint throws(AgentError) in
            try GatewayLink(endpoint: endpoint, robot: robot, tls: tls)
        }
        choice = Mutex(GatewayChoice(count: endpoints.count))
        self.logger = logger
    }

    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for link in links { group.addTask { try await link.run() } }
            try await group.waitForAll()
        }
    }

    package func shutdown() {
        for link in links { link.shutdown() }
    }

    /// What a worker serves; `checkpoint` asks one that serves this one.
    package func describe(_ checkpoint: String? = nil, timeout: Duration) async throws -> [PolicyDescription] {
        try await calling { try await $0.describe(checkpoint, timeout: timeout) }
    }

    /// Requests say from now on what kind of robot asks, for the gateway's metrics.
    package func identify(profile: String, rowTime: Duration) {
        traits.withLock { $0 = (profile, rowTime) }
    }

    /// - Parameters:
    ///   - runway: motion time left at sending; never negative on the wire.
    ///   - hedge: time without an answer after which the request is sent a second time; the first answer wins.
    package func infer(
        _ request: Groot_V1_InferRequest,
        runway: Duration,
        timeout: Duration,
        hedge: Duration? = nil
    ) async throws -> Answer {
        guard let hedge, hedge < timeout else {
            let (kind, rowTime) = traits.withLock { $0 }
            return try await calling {
                try await $0.infer(request, runway: runway, timeout: timeout, robotClass: kind, rowTime: rowTime)
            }
        }
        return try await hedged(request, runway: runway, timeout: timeout, after: hedge)
    }

    private func hedged(
        _ request: Groot_V1_InferRequest,
        runway: Duration,
        timeout: Duration,
        after pause: Duration
    ) async throws -> Answer {
        enum Event: Sendable {
            case answered(Answer)
            case failed(any Error)
            case due
        }
        let first = choice.withLock { $0.current }
        let (kind, rowTime) = traits.withLock { $0 }
        return try await withThrowingTaskGroup(of: Event.self) { group in
            func send(_ index: Int, runway: Duration, timeout: Duration) {
                group.addTask { [self] in
                    do {
                        return .answered(
                            try await on(index) {
                                try await $0.infer(
                                    request,
                                    runway: runway,
                                    timeout: timeout,
                                    robotClass: kind,
                                    rowTime: rowTime
                                )
                            }
                        )
                    } catch {
                        return .failed(error)
                    }
                }
            }
            defer { group.cancelAll() }
            send(first, runway: runway, timeout: timeout)
            group.addTask {
                try await Task.sleep(for: pause)
                return .due
            }
            var isHedged = false
            var running = 1
            while let event = try await group.next() {
                switch event {
                case .answered(var answer):
                    answer.wasHedged = isHedged
                    return answer
                case .due:
                    isHedged = true
                    running += 1
                    let other = choice.withLock { $0.alternative(to: first, at: .now()) } ?? first
                    send(other, runway: runway - pause, timeout: timeout - pause)
                case .failed(let error):
                    running -= 1
                    // The twin may still answer; a failure before the hedge is the caller's to repeat.
                    if running == 0 || !isHedged { throw error }
                }
            }
            throw RPCError(code: .cancelled, message: "the request was cancelled")
        }
    }

    package func register(_ request: Groot_V1_RegisterRobotRequest) async throws {
        try await calling { try await $0.register(request) }
    }

    package func start(_ request: Groot_V1_StartEpisodeRequest) async throws {
        try await calling { try await $0.start(request) }
    }

    package func finish(_ request: Groot_V1_FinishEpisodeRequest) async throws {
        try await calling { try await $0.finish(request) }
    }

    package func report(_ request: Groot_V1_ReportTelemetryRequest) async throws -> UInt64 {
        try await calling { try await $0.report(request) }
    }

    package func runConfig(_ request: Groot_V1_AssignRunConfigRequest) async throws -> Groot_V1_AssignRunConfigResponse
    {
        try await calling { try await $0.runConfig(request) }
    }

    private func calling<Value: Sendable>(
        _ body: @Sendable (GatewayLink) async throws -> Value
    ) async throws -> Value {
        try await on(choice.withLock { $0.current }, body)
    }

    private func on<Value: Sendable>(
        _ index: Int,
        _ body: @Sendable (GatewayLink) async throws -> Value
    ) async throws -> Value {
        do {
            let value = try await body(links[index])
            choice.withLock { $0.succeeded(index) }
            return value
        } catch {
            guard Self.isLoss(error), !Task.isCancelled else { throw error }
            let (moved, current) = choice.withLock { ($0.failed(index, at: .now()), $0.current) }
            if moved {
                logger.warning(
                    "a gateway does not answer; requests go to the next one",
                    metadata: [
                        "peer": "\(links[index].endpoint)", "next": "\(links[current].endpoint)", "error": "\(error)",
                    ]
                )
            }
            throw error
        }
    }

    /// Whether an error says that the gateway itself cannot be reached, rather than that it refused.
    package static func isLoss(_ error: any Error) -> Bool {
        guard let error = error as? RPCError else { return false }
        return error.code == .unavailable || error.code == .deadlineExceeded
    }
}
