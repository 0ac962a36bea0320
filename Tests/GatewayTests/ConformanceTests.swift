import Foundation
import GrootCore
import GrootTesting
import Subprocess
import Testing

@testable import Gateway

/// Tests/Conformance/conformance.py (RFC 9113 and RFC 7541, frame by frame) against a gateway with a scripted worker.
@Suite(.timeLimit(.minutes(5)))
struct ConformanceTests {
    @Test
    func everyCasePasses() async throws {
        let worker = ScriptedWorker("w1")
        let gateway = try await GatewayFixture(workers: [try await worker.start()])
        #expect(await gateway.up(1))
        guard case .tcp(_, let port) = gateway.address else { return }
        let script = RepositoryRoot.url.appending(path: "Tests/Conformance/conformance.py").path
        let result = try await Subprocess.run(
            .name("env"),
            arguments: [RepositoryRoot.python, script, "\(port)"],
            output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 16)
        )
        print("HTTP/2 conformance: \(result.standardOutput.split(separator: "\n").last ?? "nothing ran")")
        #expect(result.terminationStatus.isSuccess, "\(result.standardOutput)\(result.standardError)")
        let next = try await gateway.infer(10_000)
        #expect(next.text == "w1", "the gateway serves on")
        try await gateway.stop()
        try await worker.stop()
    }
}
