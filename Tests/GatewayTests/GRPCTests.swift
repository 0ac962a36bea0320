import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootCore
import Testing

@testable import Gateway

/// Real gRPC on both sides of the gateway: grpc-swift client, grpc-swift worker, grpc-swift control plane.
@Suite(.timeLimit(.minutes(1)))
struct GRPCTests {
    @Test
    func aBigUnaryCallWithBinaryMetadata() async throws {
        try await withFleet { inference, _ in
            var request = Groot_V1_InferRequest()
            request.task = "echo"
            var image = Groot_V1_Image()
            image.data = .init(repeating: 5, count: 460_000)
            request.images = [image]
            let blob: [UInt8] = [0, 1, 2, 255, 254]
            var metadata: Metadata = ["groot-robot": "r1"]
            metadata.addBinary(blob, forKey: "x-blob-bin")
            let (bytes, echoed, worker, attempts) = try await inference.infer(
                request: ClientRequest(message: request, metadata: metadata)
            ) { response in
                (
                    try response.message.rows, Array(response.metadata[binaryValues: "x-blob-bin"]),
                    Array(response.metadata[stringValues: "groot-worker"]),
                    Array(response.metadata[stringValues: "groot-attempts"])
                )
            }
            #expect(bytes == 460_000)
            #expect(echoed == [blob] && worker == ["real"] && attempts == ["1"])
        }
    }

    @Test
    func aStatusOfTheWorkerArrivesWithItsMessage() async throws {
        try await withFleet { inference, _ in
            var request = Groot_V1_InferRequest()
            request.task = "fail"
            let error = await #expect(throws: RPCError.self) {
                _ = try await inference.infer(request, metadata: ["groot-robot": "r1"])
            }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message == "größer als 100 %\nsagt der Worker")
        }
    }

    @Test
    func theWorkerSeesTheDeadline() async throws {
        try await withFleet { inference, _ in
            var request = Groot_V1_InferRequest()
            request.task = "sleep"
            var options = CallOptions.defaults
            options.timeout = .milliseconds(200)
            // The worker would wait for ever.
            let error = await #expect(throws: RPCError.self) {
                _ = try await inference.infer(request, metadata: ["groot-robot": "r1"], options: options)
            }
            #expect(error?.code == .deadlineExceeded)
        }
    }

    @Test
    func aNamelessRobotIsRefused() async throws {
        try await withFleet { inference, _ in
            let error = await #expect(throws: RPCError.self) { _ = try await inference.infer(Groot_V1_InferRequest()) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("groot-robot") == true)
        }
    }

    @Test
    func describeAndTheGatewaysOwnHealthGoThrough() async throws {
        try await withFleet { inference, health in
            let description = try await inference.describe(Groot_V1_DescribeRequest())
            #expect(description.policies.map(\.checkpoint) == ["a"])
            let answer = try await health.check(Grpc_Health_V1_HealthCheckRequest())
            #expect(answer.status == .serving)
        }
    }

    typealias Transport = HTTP2ClientTransport.Posix

    private func withFleet(
        _ body:
            @Sendable (Groot_V1_Inference.Client<Transport>, Grpc_Health_V1_Health.Client<Transport>) async throws ->
            Void
    ) async throws {
        let server = GRPCServer(
            transport: .http2NIOPosix(address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext),
            services: [RealWorker(), RealHealth()]
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let address = try await server.listeningAddress
            let port = try #require(address?.ipv4).port
            let worker = GrootCore.Endpoint.tcp(host: "127.0.0.1", port: port)
            let gateway = try await GatewayFixture(workers: [worker], control: worker)
            #expect(await gateway.up(1))
            guard case .tcp(let host, let gatewayPort) = gateway.address else { return }
            try await withGRPCClient(
                transport: .http2NIOPosix(
                    target: .ipv4(address: host, port: gatewayPort),
                    transportSecurity: .plaintext
                )
            ) { client in
                try await body(.init(wrapping: client), .init(wrapping: client))
            }
            try await gateway.stop()
            server.beginGracefulShutdown()
            try await group.waitForAll()
        }
    }
}

private struct RealWorker: Groot_V1_Inference.ServiceProtocol {
    func describe(
        request: ServerRequest<Groot_V1_DescribeRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_DescribeResponse> {
        var response = Groot_V1_DescribeResponse()
        response.worker = "real"
        var policy = Groot_V1_Policy()
        policy.checkpoint = "a"
        response.policies = [policy]
        return ServerResponse(message: response)
    }

    func infer(
        request: ServerRequest<Groot_V1_InferRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Groot_V1_InferResponse> {
        switch request.message.task {
        case "fail": throw RPCError(code: .failedPrecondition, message: "größer als 100 %\nsagt der Worker")
        case "sleep":
            // Ends only when the gateway passes the end of the call on.
            try await context.cancellation.cancelled
            throw CancellationError()
        default: break
        }
        var response = Groot_V1_InferResponse()
        response.rows = UInt32(request.message.images.first?.data.count ?? 0)
        var metadata = Metadata()
        for value in request.metadata[binaryValues: "x-blob-bin"] { metadata.addBinary(value, forKey: "x-blob-bin") }
        return ServerResponse(message: response, metadata: metadata)
    }
}

private struct RealHealth: Grpc_Health_V1_Health.SimpleServiceProtocol {
    func check(
        request: Grpc_Health_V1_HealthCheckRequest,
        context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        var response = Grpc_Health_V1_HealthCheckResponse()
        response.status = .serving
        return response
    }

    func watch(
        request: Grpc_Health_V1_HealthCheckRequest,
        response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        try await response.write(check(request: request, context: context))
    }
}
