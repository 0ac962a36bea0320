import Foundation
import FoundationNetworking
import GrootCore
import GrootTesting
import Testing

/// The built executables of one small fleet on loopback ports, with a private PostgreSQL in a temporary directory.
///
/// Owned by one test. Everything is killed when the fixture goes.
final class FleetFixture: Sendable {
    let folder: TemporaryDirectory
    let gatewayPort: Int
    let gatewayAdmin: Int
    let masterPort: Int
    let workerPorts: [Int]
    let workerAdmins: [Int]

    init() throws {
        folder = try TemporaryDirectory(prefix: "groot-system")
        let ports = try FreePorts.take(7)
        gatewayPort = ports[0]
        gatewayAdmin = ports[1]
        masterPort = ports[2]
        workerPorts = [ports[3], ports[4]]
        workerAdmins = [ports[5], ports[6]]
    }

    /// Where SwiftPM put the executables: beside the test bundle.
    static let binaries = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    func start(
        _ name: String,
        _ executable: String,
        _ arguments: [String],
        environment: [String: String] = [:]
    ) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: Self.binaries.appending(path: executable),
            arguments: arguments,
            environment: [
                "GROOT_ONNXRUNTIME": Self.root.appending(path: ".state/onnxruntime/libonnxruntime.so").path
            ].merging(environment) { $1 },
            folder: folder.url
        )
    }

    func startGateway(environment: [String: String] = [:]) throws -> ChildProcess {
        try start(
            "gateway",
            "groot-gateway",
            [
                "--workers", workerPorts.map { "127.0.0.1:\($0)" }.joined(separator: ","),
                "--listen", "127.0.0.1:\(gatewayPort)",
                "--admin", "127.0.0.1:\(gatewayAdmin)",
                "--state-dir", folder.url.appending(path: "gateway").path,
            ],
            environment: environment
        )
    }

    /// - Parameter checkpoint: nil: the one that ships.
    func startWorker(_ index: Int, checkpoint: URL? = nil, _ more: [String] = []) throws -> ChildProcess {
        try start(
            "w\(index + 1)",
            "groot-worker",
            [
                "--name", "w\(index + 1)",
                "--checkpoint", (checkpoint ?? Self.root.appending(path: "policies/groot-mini")).path,
                "--listen", "127.0.0.1:\(workerPorts[index])",
                "--admin", "127.0.0.1:\(workerAdmins[index])",
            ] + more
        )
    }

    func startSimulator() throws -> ChildProcess {
        try start("sim", "groot-sim", ["--robot", "r1", "--master-port", "\(masterPort)"])
    }

    func startAgent(task: String, seed: Int, _ more: [String] = []) throws -> ChildProcess {
        try start(
            "agent",
            "groot-agent",
            [
                "--robot", "r1",
                "--task", task,
                "--seed", "\(seed)",
                "--gateway", "127.0.0.1:\(gatewayPort)",
                "--ros-master", "http://127.0.0.1:\(masterPort)",
                "--state-dir", folder.url.appending(path: "agent").path,
                "--json",
            ] + more
        )
    }

    /// Body of an HTTP resource on a loopback port, nil when the answer is not 200 or nobody listens.
    func get(port: Int, _ path: String) async -> String? {
        // "Not yet" and "not there" are the same to a caller that asks again.
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)"),
            let answer = try? await URLSession.shared.data(from: url),
            (answer.1 as? HTTPURLResponse)?.statusCode == 200
        else { return nil }
        return String(decoding: answer.0, as: UTF8.self)
    }

    /// A process is ready; the gateway's database with it, because tests read what was stored.
    func isReady(port: Int) async -> Bool {
        guard await get(port: port, "/readyz") != nil else { return false }
        return port != gatewayAdmin ? true : await get(port: port, "/readyz/store") != nil
    }

    /// Rows of one query on the gateway's private database, fields separated by `|`.
    func query(_ sql: String) throws -> [String] {
        let psql = Process()
        psql.executableURL = folder.url.appending(path: "gateway/psql")
        psql.arguments = ["-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql]
        let pipe = Pipe()
        psql.standardOutput = pipe
        try psql.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        psql.waitUntilExit()
        try #require(psql.terminationStatus == 0, "psql failed: \(sql)")
        return String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
