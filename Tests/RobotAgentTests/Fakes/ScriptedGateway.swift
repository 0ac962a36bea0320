import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import Testing

@testable import RobotAgent

/// Serves the scripted policy and control plane on a loopback port while `body` runs.
func withGateway(_ fleet: ScriptedFleet, port: Int = 0, _ body: (Int) async throws -> Void) async throws {
    let server = GRPCServer(
        transport: .http2NIOPosix(address: .ipv4(host: "127.0.0.1", port: port), transportSecurity: .plaintext),
        services: [ScriptedInferenceService(fleet: fleet), ScriptedFleetService(fleet: fleet)]
    )
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.serveToTheEnd() }
        let port = try await #require(server.listeningAddress?.ipv4?.port)
        try await body(port)
        group.cancelAll()
    }
}
