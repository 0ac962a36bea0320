import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import Testing

@testable import Gateway

/// A gRPC server whose task is cancelled while calls arrive.
struct ServingEndTests {
    @Test(arguments: 0..<20)
    func beingCancelledAmidArrivingCallsIsAnEnd(round: Int) async throws {
        let server = GRPCServer(
            transport: .http2NIOPosix(address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext),
            services: [HealthService(fleetNotReady: { nil })]
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            let serving = Task { try await server.serveToTheEnd() }
            let port = try #require(try await server.listeningAddress?.ipv4?.port)
            let client = GRPCClient(
                transport: try .http2NIOPosix(
                    target: .ipv4(address: "127.0.0.1", port: port),
                    transportSecurity: .plaintext
                )
            )
            group.addTask { try? await client.runConnections() }
            let health = Grpc_Health_V1_Health.Client(wrapping: client)
            for _ in 0..<64 {
                group.addTask {
                    while !Task.isCancelled, (try? await health.check(.init())) != nil {}
                }
            }
            try await Task.sleep(for: .milliseconds(30 + round))
            serving.cancel()
            try await serving.value
            group.cancelAll()
        }
    }

    @Test
    func whatCannotListenSaysSo() async throws {
        let server = GRPCServer(
            transport: .http2NIOPosix(
                address: .unixDomainSocket(path: "/no/such/folder/socket"),
                transportSecurity: .plaintext
            ),
            services: [HealthService(fleetNotReady: { nil })]
        )
        await #expect(throws: (any Error).self) { try await server.serveToTheEnd() }
    }
}
