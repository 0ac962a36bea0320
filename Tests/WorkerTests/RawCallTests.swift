import Foundation
import GrootTesting
import Testing

/// Tests/Conformance/grpc_inputs.py against the built executable: calls as no library makes them, sent by a peer to which
/// nothing stands between.
@Suite(.timeLimit(.minutes(5)), .enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct RawCallTests {
    @Test
    func `no call, however it is formed, ends the worker or is somebody else's harm`() async throws {
        let folder = try TemporaryDirectory(prefix: "groot-raw")
        let port = try FreePorts.take(1)[0]
        let worker = try ChildProcess(
            "worker",
            executable: URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
                .appending(path: "groot-worker"),
            arguments: [
                "--checkpoint", TestRuntime.fixture("tiny"), "--max-batch", "2", "--listen", "127.0.0.1:\(port)",
                "--admin", "off",
            ],
            environment: TestRuntime.library.map { ["GROOT_ONNXRUNTIME": $0] } ?? [:],
            folder: folder.url
        )
        try await eventually(within: .seconds(60), "it serves: \(worker.lastLines())") {
            try worker.logText().contains("\"serving\"")
        }
        let script = RepositoryRoot.url.appending(path: "Tests/Conformance/grpc_inputs.py").path
        let peer = try ChildProcess(
            "peer",
            executable: URL(filePath: RepositoryRoot.python),
            arguments: [script, "\(port)"],
            folder: folder.url
        )
        try await eventually(within: .seconds(240), "the peer ends") { !peer.isRunning }
        let said = try peer.standardOutput()
        #expect(peer.exitCode == 0, "\(said) \(peer.lastLines())")
        #expect(worker.isRunning, "\(worker.lastLines())")
    }
}
