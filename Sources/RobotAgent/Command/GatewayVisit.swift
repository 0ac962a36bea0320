import GRPCCore
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

    /// - Throws: `AgentError`, also for what the gateway refuses.
    func ask<Answer: Sendable>(
        _ body: @escaping @Sendable (GatewayClient) async throws -> Answer
    ) async throws -> Answer {
        do {
            return try await visit(body)
        } catch let error as RPCError {
            let trouble = GatewayTrouble(error, isTLS: tls != nil)
            let name = endpoints.map { "\($0)" }.joined(separator: ",")
            throw AgentError(trouble.code, "gateway \(name): it \(trouble.sentence)", cause: error)
        }
    }

    private func visit<Answer: Sendable>(
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
