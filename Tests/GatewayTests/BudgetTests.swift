import GrootCore
import GrootTesting
import HTTP2
import NIOCore
import Testing

@testable import Gateway

/// What one participant may have in hand, and what the gateway refuses itself because a worker would: others lose
/// nothing, and no worker is blamed.
@Suite(.timeLimit(.minutes(2)), .serialized)
struct BudgetTests {
    private func withGateway(
        workers count: Int = 1,
        _ change: (inout GatewayConfiguration) -> Void = { _ in },
        _ body: (GatewayFixture, [ScriptedWorker]) async throws -> Void
    ) async throws {
        let workers = (0..<count).map { ScriptedWorker("w\($0)", maxBatch: 4) }
        var endpoints: [Endpoint] = []
        for worker in workers { endpoints.append(try await worker.start()) }
        let gateway = try await GatewayFixture(workers: endpoints, change)
        #expect(await gateway.up(count))
        try await body(gateway, workers)
        try await gateway.stop()
        for worker in workers { try await worker.stop() }
    }

    private func hits(_ gateway: GatewayFixture, _ limit: GatewayLimit) -> String? {
        gateway.metric("groot_gateway_limits_hit_total{limit=\"\(limit.rawValue)\"}")
    }

    private func blamed(_ gateway: GatewayFixture) -> Bool {
        gateway.registry.render().split(separator: "\n").contains { line in
            (line.contains("outcome=\"lost\"") || line.contains("outcome=\"error_status\"")
                || line.hasPrefix("groot_gateway_ejections_total")) && !line.hasSuffix(" 0")
        }
    }

    @Test
    func unfinishedRequestsTakeNoWorkersPlace() async throws {
        try await withGateway(workers: 2) { gateway, workers in
            let attacker = try await RobotConnection(to: gateway.address)
            for _ in 0..<60 { try await attacker.begin(robot: "evil", extra: [("groot-observation", "1")]) }
            for round in 0..<40 {
                let response = try await gateway.infer(20_000, robot: "r\(round % 4)", timeout: "2S")
                #expect(response.grpcStatus == "0")
            }
            #expect(workers.map(\.requestCount).reduce(0, +) == 40, "workers see complete requests only")
            #expect(gateway.dataPlane.state().active == 0)
            try await attacker.close()
        }
    }

    @Test
    func anUploadThatIsTooSlowIsGivenUp() async throws {
        try await withGateway({ $0.uploadTimeout = .milliseconds(300) }) { gateway, workers in
            let response = try await gateway.robot.begin(robot: "slow", waits: true)
            #expect(response?["grpc-status"] == "4" && response?["grpc-message"]?.contains("upload-timeout-ms") == true)
            #expect(hits(gateway, .uploadTimeout) == "1" && workers[0].requestCount == 0)
        }
        try await withGateway({ $0.uploadRate = 1 << 20 }) { gateway, _ in
            let response = try await gateway.robot.begin(robot: "slow", waits: true)
            #expect(response?["grpc-status"] == "4" && response?["grpc-message"]?.contains("upload-rate") == true)
            #expect(hits(gateway, .uploadRate) == "1")
        }
    }

    @Test
    func oneRobotsBudgetIsNotAnothers() async throws {
        try await withGateway({
            $0.robotLimits.uploads = 3
            $0.robotLimits.heldBytes = 100_000
        }) { gateway, _ in
            for _ in 0..<3 { try await gateway.robot.begin(robot: "r1") }
            let fourth = try await gateway.infer(robot: "r1")
            #expect(fourth.grpcStatus == "8" && fourth.grpcMessage.contains("robot-uploads"))
            #expect(try await gateway.infer(robot: "r2").grpcStatus == "0")
            let large = try await gateway.infer(200_000, robot: "r2")
            #expect(large.grpcStatus == "8" && large.grpcMessage.contains("robot-held-bytes"))
            #expect(try await gateway.infer(90_000, robot: "r2").grpcStatus == "0", "what it had is given back")
            #expect(hits(gateway, .robotUploads) == "1" && hits(gateway, .robotHeldBytes) == "1")
        }
        try await withGateway({ $0.robotLimits.streams = 5 }) { gateway, _ in
            for _ in 0..<5 { try await gateway.robot.begin(robot: "r1") }
            let sixth = try await gateway.infer(robot: "r1")
            #expect(sixth.grpcStatus == "8" && sixth.grpcMessage.contains("robot-streams"))
            #expect(try await gateway.infer(robot: "r2").grpcStatus == "0" && hits(gateway, .robotStreams) == "1")
        }
    }

    @Test
    func onePeersBudgetHoldsWhateverNamesItUses() async throws {
        try await withGateway({
            $0.peerLimits.uploads = 4
            $0.peerLimits.connections = 2
        }) { gateway, _ in
            let second = try await RobotConnection(to: gateway.address)
            for name in 0..<4 { try await second.begin(robot: "name\(name)") }
            try await GrootTesting.eventually("four are known") {
                try await gateway.infer(robot: "name5").grpcMessage.contains("peer-uploads")
            }
            let third = try? await RobotConnection(to: gateway.address)
            if let third {
                #expect(await eventually { third.closeReason != nil }, "there are two already")
                try await third.close()
            }
            #expect(hits(gateway, .peerConnections) == "1" && hits(gateway, .peerUploads) == "1")
            try await second.close()
            #expect(await eventually { gateway.dataPlane.connectionCount == 1 })
            #expect(try await gateway.infer().grpcStatus == "0", "all is given back")
            let again = try await RobotConnection(to: gateway.address)
            #expect(try await again.infer().grpcStatus == "0")
            try await again.close()
        }
    }

    @Test(
        arguments: [
            "application/grpc-web", "application/grpc-web+proto", "application/grpc+json", "application/grpcx",
            "application/grpc; charset=utf-8", "application/json", "",
        ]
    )
    func otherContentTypesAreRefusedHere(_ type: String) async throws {
        try await withGateway { gateway, workers in
            for _ in 0..<8 {
                let response = try await gateway.infer(contentType: type)
                #expect(response.status == 415)
            }
            #expect(workers[0].requestCount == 0 && !blamed(gateway))
            let next = try await gateway.infer(contentType: "application/grpc+proto")
            #expect(next.text == "w0")
        }
    }

    /// Wrong in every way that a worker would refuse: the gateway does, with a status that says what.
    @Test
    func whatIsTheCallersFaultNeverReachesAWorker() async throws {
        try await withGateway({ $0.bodyLimit = 1 << 20 }) { gateway, workers in
            func frame(_ bytes: [UInt8]) -> ByteBuffer { ByteBuffer(bytes: bytes) }
            for _ in 0..<6 {
                for body in [frame([]), frame([0]), frame([0, 0, 0, 0, 9, 1]), frame([0, 0, 0, 0, 1, 1, 1])] {
                    let response = try await gateway.infer(body: body)
                    #expect(response.grpcStatus == "3", "\(response.grpcMessage)")
                }
                let announced = try await gateway.infer(body: frame([0, 0x7F, 0, 0, 0, 1]))
                #expect(announced.grpcStatus == "8" && announced.grpcMessage.contains("max-body-size"))
                let compressed = try await gateway.infer(extra: [("grpc-encoding", "gzip")])
                #expect(compressed.grpcStatus == "12" && compressed.headers["grpc-accept-encoding"] == "identity")
                let method = try await gateway.infer(path: "/groot.v1.Inference/Other")
                #expect(method.grpcStatus == "12")
                for size in [16_000, 30_000, 50_000] {
                    let headers = try await gateway.infer(extra: [("x-large", String(repeating: "v", count: size))])
                    #expect(headers.status == 431 && headers.grpcStatus == "8")
                    #expect(headers.grpcMessage.contains("worker-max-header-list-size"))
                }
            }
            #expect(workers[0].requestCount == 0 && !blamed(gateway))
            #expect(hits(gateway, .workerHeaders) == "18" && hits(gateway, .bodySize) == "6")
            #expect(try await gateway.infer(extra: [("x-large", String(repeating: "v", count: 15_000))]).text == "w0")
        }
    }

    /// Over the limit by counting, far more than a window of it.
    @Test
    func aBodyOfSeventeenMebibytesIsRefusedByTheGateway() async throws {
        try await withGateway { gateway, workers in
            for size in [(16 << 20) + 1, 17 << 20] {
                let response = try await gateway.infer(size)
                #expect(response.grpcStatus == "8" && response.grpcMessage.contains("16777216 bytes"))
            }
            #expect(workers[0].requestCount == 0 && !blamed(gateway))
            #expect(try await gateway.infer(16 << 20, timeout: "20S").text == "w0")
        }
    }

    @Test
    func textsOfWorkersAreClipped() async throws {
        try await withGateway { gateway, workers in
            for size in [1000, 15_000, 50_000, 62_000, 200_000, 900_000] {
                let long = String(repeating: "y", count: size)
                workers[0].change {
                    $0.behaviour = .script([
                        .headers([
                            ":status": "200", "content-type": "application/grpc", "grpc-status": "3",
                            "grpc-message": long,
                        ]), .end,
                    ])
                }
                let response = try await gateway.infer()
                #expect((response.headers["grpc-message"]?.utf8.count ?? 0) <= 1024, "\(size)")
                workers[0].change { $0.behaviour = .answer(after: .zero) }
                #expect(try await gateway.infer().text == "w0", "\(size): the connection is there")
            }
            let address = gateway.dataPlane.workerStatuses[0].address
            #expect(gateway.metric("groot_gateway_worker_up{address=\"\(address)\",worker=\"w0\"}") == "1.0")
            #expect(workers[0].now.descriptions == 1, "it never had to connect again")
        }
    }
}
