import GrootCore
import GrootSecurity
import Logging

/// A short connection to the gateways, for commands that ask something and end: in cleartext, or with the process's
/// certificate as `run` has it.
struct GatewayVisit: Sendable {
    let endpoints: [Endpoint]
    let robot: String
    /// Nil: cleartext.
    let tls: TLSFiles?
    let logger: Logger

    func ask<Answer: Sendable>(
        _ body: @escaping @Sendable (GatewayClient) async throws -> Answer
    ) async throws -> Answer {
        let security: FleetTLS?
        do {
            security = try tls.map {
                try FleetTLS(
                    $0,
                    reloadEvery: .seconds(10),
                    process: "agent",
                    metrics: MetricsRegistry(),
                    logger: logger
                )
            }
        } catch {
            throw AgentError(.badCertificate, "TLS cannot be set up", cause: error)
        }
        let client = try GatewayClient(endpoints: endpoints, robot: robot, tls: security, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            if let security { group.addTask { try await security.run() } }
            defer {
                client.shutdown()
                group.cancelAll()
            }
            return try await body(client)
        }
    }
}
