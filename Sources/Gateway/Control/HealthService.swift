import GRPCCore
import GrootAPI
import SwiftProtobuf

/// `grpc.health.v1.Health` of the gateway itself.
///
/// "" is serving as soon as it answers: a gateway without a database still serves inference. "groot.v1.Fleet" says
/// whether telemetry is being committed.
struct HealthService: Grpc_Health_V1_Health.SimpleServiceProtocol {
    static let fleet = "groot.v1.Fleet"
    /// How often a watch looks for a change.
    static let watchInterval: Duration = .milliseconds(250)

    private let fleetNotReady: @Sendable () -> String?

    init(fleetNotReady: @escaping @Sendable () -> String?) {
        self.fleetNotReady = fleetNotReady
    }

    func check(
        request: Grpc_Health_V1_HealthCheckRequest,
        context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard let status = status(of: request.service) else {
            throw RPCError(
                code: .notFound,
                message: "no service \"\(request.service)\"; ask for \"\" or \"\(Self.fleet)\""
            )
        }
        return .with { $0.status = status }
    }

    func watch(
        request: Grpc_Health_V1_HealthCheckRequest,
        response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        var last: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        while !context.cancellation.isCancelled {
            // The protocol wants an unknown service to be watched, not refused.
            let status = status(of: request.service) ?? .serviceUnknown
            if status != last {
                try await response.write(.with { $0.status = status })
                last = status
            }
            try await Task.sleep(for: Self.watchInterval)
        }
    }

    private func status(of service: String) -> Grpc_Health_V1_HealthCheckResponse.ServingStatus? {
        switch service {
        case "": .serving
        case Self.fleet: fleetNotReady() == nil ? .serving : .notServing
        default: nil
        }
    }
}
