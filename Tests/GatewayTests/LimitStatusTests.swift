import GrootCore
import HTTP2
import Testing

@testable import Gateway

/// Limits that robots run into at the gateway: a defined status, a metric, and nothing else suffers.
@Suite(.timeLimit(.minutes(1)))
struct LimitStatusTests {
    @Test
    func bodiesOverTheLimitAreRefusedAndOthersAreNot() async throws {
        let worker = ScriptedWorker("w1")
        let gateway = try await GatewayFixture(workers: [try await worker.start()]) {
            $0.bodyLimit = 100_000
        }
        #expect(await gateway.up(1))
        let announced = try await gateway.infer(100_001, extra: [("content-length", "100001")])
        #expect(announced.grpcStatus == "8" && announced.grpcMessage.contains("exceeds 100000 bytes"))
        let streamed = try await gateway.infer(400_000)
        #expect(streamed.grpcStatus == "8" && streamed.grpcMessage.contains("exceeds 100000 bytes"))
        #expect(gateway.metric("groot_gateway_limits_hit_total{limit=\"body-size\"}") == "2")
        let allowed = try await gateway.infer(100_000)
        #expect(allowed.text == "w1")
        try await gateway.stop()
        try await worker.stop()
    }

    @Test
    func headerListsOverTheLimitGetAStatusAndAMetric() async throws {
        let worker = ScriptedWorker("w1")
        let gateway = try await GatewayFixture(workers: [try await worker.start()]) {
            $0.http2.maxHeaderListSize = 2048
        }
        #expect(await gateway.up(1))
        let refused = try await gateway.infer(10, extra: [("x-large", String(repeating: "v", count: 3000))])
        #expect(refused.status == 431 && refused.grpcStatus == "8")
        #expect(gateway.metric("groot_gateway_limits_hit_total{limit=\"header-list\"}") == "1")
        let next = try await gateway.infer()
        #expect(next.text == "w1")
        try await gateway.stop()
        try await worker.stop()
    }
}
