import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootTesting
import Testing

/// An inference that does not end, in real processes: a thread that hangs is given up with its process only.
@Suite(.serialized, .timeLimit(.minutes(1)), .enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct HungRuntimeTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-hung") }

    private func worker(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            "worker",
            executable: URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
                .appending(path: "groot-worker"),
            arguments: arguments,
            environment: TestRuntime.library.map { ["GROOT_ONNXRUNTIME": $0] } ?? [:],
            folder: folder.url
        )
    }

    @Test
    func `a warm-up that does not end is ended by its limit`() async throws {
        let worker = try worker(
            ["describe", "--checkpoint", TestRuntime.fixture("hangs-warming"), "--load-timeout", "1"]
        )
        try await eventually(within: .seconds(20), "it ends: \(worker.lastLines())") { !worker.isRunning }
        #expect(worker.exitCode == 1)
        #expect(try worker.logText().contains("was not loaded and warmed up within 1.0 s (--load-timeout)"))
    }

    @Test
    func `an inference that does not end fails its batch, drains the worker and ends it`() async throws {
        let ports = try FreePorts.take(2)
        let worker = try worker([
            "--checkpoint", TestRuntime.fixture("hanging"), "--inference-timeout", "1", "--max-batch", "2",
            "--listen", "127.0.0.1:\(ports[0])", "--admin", "127.0.0.1:\(ports[1])",
        ])
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: ports[0]),
            transportSecurity: .plaintext
        )
        try await withGRPCClient(transport: transport) { client in
            let health = Grpc_Health_V1_Health.Client(wrapping: client)
            let inference = Groot_V1_Inference.Client(wrapping: client)
            try await eventually(within: .seconds(20), "it serves: \(worker.lastLines())") {
                // Not listening yet is an answer too.
                (try? await health.check(.init()).status) == .serving
            }
            #expect(try await inference.infer(.tiny()).rows == 4)
            var endless = Groot_V1_InferRequest.tiny(robot: "r2")
            endless.stateValues = [0, 200, 0]
            let error = await #expect(throws: RPCError.self) { _ = try await inference.infer(endless) }
            #expect(error?.code == .unavailable, "\(error.map { "\($0)" } ?? "")")
            #expect(error?.message.contains("did not end an inference of 1 within 1.0 s") == true)
        }
        try await eventually(within: .seconds(20), "it ends: \(worker.lastLines())") { !worker.isRunning }
        #expect(worker.exitCode == 1)
        #expect(try worker.logText().contains("the worker ends"))
    }
}
