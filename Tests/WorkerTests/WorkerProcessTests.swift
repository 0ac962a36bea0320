import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import GrootAPI
import GrootTesting
import Synchronization
import Testing

private let isRoot = geteuid() == 0

/// Set once, read by many tasks.
private final class Flag: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}

/// The built executable: what it says and with which code it ends when a checkpoint cannot be had, and that nothing is
/// lost while checkpoints come and go.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct WorkerProcessTests {
    /// A file or folder that cannot be used: `badInput`.
    private static let badInput: Int32 = 65

    private static let executable = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "groot-worker").path
    private static let script = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "LeRobot/scripted_policy.py").path

    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory(prefix: "groot-worker-process") }

    private func path(_ name: String) -> String { folder.url.appending(path: name).path }

    private func directory(_ name: String, _ files: [String: Data] = [:]) throws -> String {
        let directory = folder.url.appending(path: name)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for (file, data) in files { try data.write(to: directory.appending(path: file)) }
        return directory.path
    }

    /// Runs a command to its end.
    private func end(_ command: [String], _ environment: [String: String] = [:]) async throws -> (Int32, String) {
        let process = try ChildProcess(
            "run-\(UUID().uuidString.prefix(8))",
            executable: URL(filePath: "/usr/bin/env"),
            arguments: command,
            environment: environment.merging(
                TestRuntime.library.map { ["GROOT_ONNXRUNTIME": $0] } ?? [:],
                uniquingKeysWith: { mine, _ in mine }
            ),
            folder: folder.url
        )
        try await eventually(within: .seconds(60), "it ends: \(process.lastLines())") { !process.isRunning }
        return (process.exitCode ?? -1, try process.logText())
    }

    private func refused(
        _ command: [String],
        _ says: [String],
        _ environment: [String: String] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let (code, log) = try await end(command, environment)
        #expect(code == Self.badInput, "\(log)", sourceLocation: sourceLocation)
        for part in says { #expect(log.contains(part), "\(part): \(log)", sourceLocation: sourceLocation) }
    }

    private func describe(_ directory: String, _ more: String...) -> [String] {
        [Self.executable, "describe", "--checkpoint", directory] + more
    }

    @Test
    func `directories that are none are named, with what to do`() async throws {
        try Data().write(to: folder.url.appending(path: "file"))
        try FileManager.default.createSymbolicLink(atPath: path("dangling"), withDestinationPath: path("nowhere"))
        for name in ["missing", "file", "dangling"] {
            try await refused(
                describe(path(name)),
                ["groot-worker: The checkpoint directory \(path(name)) cannot be read", "may this user read it?"]
            )
        }
        try await refused(
            describe(try directory("empty", ["notes.txt": Data()])),
            ["is no checkpoint", "model.onnx", "model.safetensors", "notes.txt"]
        )
    }

    /// Root reads everything, so it gives that right up first.
    @Test
    func `a directory that the user may not read is named`() async throws {
        let closed = try directory("closed", ["model.onnx": Data()])
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: closed)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: closed) }
        let rights = "-dac_override,-dac_read_search"
        let without = ["setpriv", "--inh-caps", rights, "--bounding-set", rights]
        try await refused(
            (isRoot ? without : []) + describe(closed),
            ["The checkpoint directory \(closed) cannot be read", "may this user read it?"]
        )
    }

    @Test(.enabled(if: TestRuntime.canRun, TestRuntime.reason))
    func `damaged weights are named, with the file`() async throws {
        try await refused(
            describe(TestRuntime.fixture("corrupt")),
            ["corrupt/model.onnx cannot be loaded", "Protobuf"]
        )
        let tiny = URL(filePath: TestRuntime.fixture("tiny"))
        let model = try Data(contentsOf: tiny.appending(path: "model.onnx"))
        let cut = try directory(
            "cut",
            [
                "config.json": Data(contentsOf: tiny.appending(path: "config.json")),
                "model.onnx": model.prefix(model.count / 2),
            ]
        )
        try await refused(describe(cut), ["cut/model.onnx cannot be loaded"])
        // 64 bytes of header are announced, 4 are there; found before any Python is started.
        let header = Data([64, 0, 0, 0, 0, 0, 0, 0]) + Data("{   ".utf8)
        let torn = try directory("torn", ["config.json": Data("{}".utf8), "model.safetensors": header])
        try await refused(describe(torn, "--python", "/nowhere/python"), ["torn/model.safetensors is damaged"])
    }

    @Test
    func `a device that the library does not offer is refused by the process`() async throws {
        guard TestRuntime.canRun else { return }
        try await refused(
            describe(TestRuntime.fixture("tiny"), "--device", "tensorrt"),
            ["--device tensorrt needs TensorrtExecutionProvider", "onnxruntime-gpu"]
        )
    }

    @Test
    func `a rate that is not the checkpoint's ends the load`() async throws {
        guard TestRuntime.canRun else { return }
        let tiny = TestRuntime.fixture("tiny")
        try await refused(describe(tiny, "--fps", "30"), ["--fps is 30.0, but the rows of tiny are 100.0 ms apart"])
        #expect(try await end(describe(tiny, "--fps", "10")).0 == 0)
    }

    @Test(arguments: ["gpu1", "gpu1.example.org:8090", "256.0.0.1", "[::g]:1", "1.2.3.4:99999", ":1"])
    func `where nobody can listen is refused by name, before anything is loaded`(listen: String) async throws {
        let (code, log) = try await end([Self.executable, "--checkpoint", path("nowhere"), "--listen", listen])
        #expect(code == 64, "\(log)")
        #expect(log.contains("is no address") && log.contains("\"\(listen)\"") || log.contains("not a name"), "\(log)")
    }

    /// A file system of one page in memory, visible to the worker alone, takes the place of the one that fills up.
    @Test(
        .enabled(if: isRoot, "mounting needs root"),
        arguments: [("/dev/shm", "of shared memory at /dev/shm/"), ("TMPDIR", "cannot be written; is the disk full")]
    )
    func `a disk that is full while loading is named`(place: String, says: String) async throws {
        let checkpoint = try directory("works", ["config.json": Data("{}".utf8)])
        let full = place == "TMPDIR" ? try directory("full") : place
        let mount = "mount -t tmpfs -o size=4k,mode=1777 tmpfs '\(full)' && head -c 4096 /dev/zero > '\(full)/fills'"
        let command = describe(checkpoint, "--runtime", "lerobot", "--python-policy", Self.script)
        try await refused(
            ["unshare", "-m", "sh", "-c", mount + #"; exec "$0" "$@""#] + command,
            [says],
            place == "TMPDIR" ? ["TMPDIR": full] : [:]
        )
        if place == "/dev/shm" { #expect(!FileManager.default.fileExists(atPath: "/dev/shm/fills")) }
    }

    private struct Listing: Decodable {
        struct Served: Decodable {
            var name: String
            var sha256: String
        }

        struct Load: Decodable {
            var name: String
            var state: String
            var step: String
        }

        var phase: String
        var memoryBytes: Int
        var memoryBudget: Int?
        var checkpoints: [Served]
        var loads: [Load]
    }

    /// The commands of docs/worker.md, as they stand there, while robots ask without a pause.
    @Test(.enabled(if: TestRuntime.canRun, TestRuntime.reason))
    func `checkpoints are loaded, exchanged, refused and unloaded without a lost request`() async throws {
        let ports = try FreePorts.take(2)
        for name in ["one", "two", "large"] {
            try FileManager.default.copyItem(atPath: TestRuntime.fixture("tiny"), toPath: path(name))
        }
        let policies = folder.url
        let worker = try ChildProcess(
            "worker",
            executable: URL(filePath: Self.executable),
            arguments: [
                "--checkpoint", path("one"), "--checkpoints", policies.path, "--memory-budget", "0.001",
                "--max-batch", "4", "--listen", "127.0.0.1:\(ports[0])", "--admin", "127.0.0.1:\(ports[1])",
            ],
            environment: TestRuntime.library.map { ["GROOT_ONNXRUNTIME": $0] } ?? [:],
            folder: folder.url
        )
        func curl(_ more: String...) async throws -> String {
            let (code, text) = try await end(["sh", "-c", #"curl -sS -m 20 "$@" >&2"#, "curl"] + more)
            #expect(code == 0, "\(text)")
            return text
        }
        let address = "localhost:\(ports[1])/checkpoints"
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        func listing() async throws -> Listing? {
            try? decoder.decode(Listing.self, from: Data(try await curl(address).utf8))
        }
        try await eventually(within: .seconds(60), "it serves: \(worker.lastLines())") {
            let (code, _) = try await end(["curl", "-sf", "-m", "20", "localhost:\(ports[1])/readyz"])
            return code == 0
        }
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: ports[0]),
            transportSecurity: .plaintext
        )
        try await withGRPCClient(transport: transport) { client in
            let inference = Groot_V1_Inference.Client(wrapping: client)
            let isOver = Flag()
            let first = try #require(try await listing()?.checkpoints.first)
            try await withThrowingTaskGroup(of: (answers: Int, digests: Set<String>).self) { group in
                for robot in 0..<6 {
                    group.addTask {
                        var answers = 0
                        var digests: Set<String> = []
                        while !isOver.isSet {
                            var request = Groot_V1_InferRequest.tiny(robot: "r\(robot)")
                            request.checkpoint = "one"
                            let answer = try await inference.infer(request)
                            #expect(answer.values.count == 12)
                            digests.insert(answer.checkpointSha256)
                            answers += 1
                        }
                        return (answers, digests)
                    }
                }
                // Whatever fails below, the robots stop.
                defer { isOver.set() }

                // Another one beside it.
                #expect(
                    try await curl("-X", "POST", address, "-d", #"{"directory": "\#(path("two"))"}"#).contains(
                        "loading"
                    )
                )
                try await eventually(within: .seconds(30), "two is served") {
                    try await listing()?.checkpoints.map(\.name) == ["one", "two"]
                }
                // The one that is asked for, with other bytes under the same name.
                let config = policies.appending(path: "one/config.json")
                try (String(contentsOf: config, encoding: .utf8) + "\n").write(
                    to: config,
                    atomically: true,
                    encoding: .utf8
                )
                _ = try await curl("-X", "POST", address, "-d", #"{"directory": "\#(path("one"))"}"#)
                try await eventually(within: .seconds(30), "one is exchanged") {
                    guard let now = try await listing()?.checkpoints.first(where: { $0.name == "one" }) else {
                        return false
                    }
                    return now.sha256 != first.sha256
                }
                // One whose warm-up fails: what is served stays.
                let exchanged = try #require(try await listing()?.checkpoints.first { $0.name == "one" })
                for file in ["config.json", "model.onnx"] {
                    let bad = URL(filePath: TestRuntime.fixture("not-finite")).appending(path: file)
                    try Data(contentsOf: bad).write(to: policies.appending(path: "one/\(file)"))
                }
                _ = try await curl("-X", "POST", address, "-d", #"{"directory": "\#(path("one"))"}"#)
                try await eventually(within: .seconds(30), "the load fails") {
                    guard let load = try await listing()?.loads.first(where: { $0.name == "one" }) else { return false }
                    return load.state == "failed" && load.step.contains("warm-up inference of a batch of 1 failed")
                }
                #expect(try await listing()?.checkpoints.first { $0.name == "one" }?.sha256 == exchanged.sha256)
                // One that does not fit beside the others.
                try Data(count: 2 << 20).write(to: policies.appending(path: "large/more"))
                let large = try await curl("-X", "POST", address, "-d", #"{"directory": "\#(path("large"))"}"#)
                #expect(large.contains("--memory-budget"), "\(large)")
                // And away again.
                #expect(try await curl("-X", "DELETE", address + "/two").contains("unloaded"))
                let after = try #require(try await listing())
                #expect(after.checkpoints.map(\.name) == ["one"])
                #expect(after.memoryBytes > 0 && after.memoryBytes <= after.memoryBudget ?? 0)
                #expect(after.phase == "serving")

                isOver.set()
                let robots = try await group.reduce(into: []) { $0.append($1) }
                // Every request was answered, before by the old and after by the new one.
                #expect(robots.count == 6)
                #expect(
                    robots.allSatisfy { $0.answers > 0 && $0.digests.isSubset(of: [first.sha256, exchanged.sha256]) }
                )
                #expect(robots.contains { $0.digests.count == 2 })
            }
        }
        worker.terminate()
        try await eventually(within: .seconds(30), "it drains: \(worker.lastLines())") { !worker.isRunning }
        #expect(worker.exitCode == 0)
    }
}
