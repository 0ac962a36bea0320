import Foundation
import GrootAPI
import GrootTesting
import SwiftProtobuf
import Testing

/// One bad participant of every kind beside honest robots, with certificates everywhere: real gateway with its database, two
/// real workers, robots and offenders over grpcio and raw frames. The honest ones lose nothing: no request fails, none is
/// refused to register, nobody loses a lease, and one answer in a hundred takes at most twice as long as before.
@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: TestRuntime.canRun, TestRuntime.reason))
struct OffenderRowsSerialTests {
    /// What one offender does, what it may be told, and which limits the gateway counts for it.
    private struct Row {
        var offence: String
        /// Beginnings of what it hears; nil: whatever it is.
        var hears: Set<String>?
        var limits: Set<String> = []
        /// Registering needs the database.
        var isAboutDatabase = false
    }

    private static let rows = [
        Row(offence: "header-only", limits: ["robot-uploads"]),
        Row(offence: "slow-uploads", hears: ["status 0"]),
        Row(
            offence: "large-headers",
            // Some are just within what workers accept.
            hears: ["OK", "RESOURCE_EXHAUSTED", "INTERNAL"],
            limits: ["worker-max-header-list-size"]
        ),
        Row(offence: "claims", hears: ["INVALID_ARGUMENT", "NOT_FOUND"]),
        Row(
            offence: "shapes",
            hears: ["http 415", "status 3", "status 8", "status 12", "RESOURCE_EXHAUSTED", "CANCELLED"],
            limits: ["body-size"]
        ),
        Row(offence: "body-of-another", hears: ["PERMISSION_DENIED"]),
        Row(offence: "poison", hears: ["INVALID_ARGUMENT"]),
        Row(offence: "forged", hears: ["PERMISSION_DENIED"], limits: ["forbidden"]),
        Row(offence: "unfinished-control"),
        Row(offence: "texts", hears: ["OK"]),
        Row(offence: "many-connections", limits: ["robot-connections"]),
        Row(offence: "many-streams", limits: ["robot-streams"]),
        Row(offence: "many-calls", limits: ["calls"]),
        Row(offence: "telemetry-rows", hears: ["OK", "RESOURCE_EXHAUSTED"], limits: ["rows"]),
        Row(offence: "telemetry-bytes", hears: ["OK", "RESOURCE_EXHAUSTED"], limits: ["bytes"]),
        Row(offence: "empty-records", hears: ["INVALID_ARGUMENT"]),
        Row(offence: "hostile-checkpoints", hears: ["http 202", "http 400"]),
        Row(offence: "hanging-worker"),
        Row(offence: "failing-worker"),
        Row(offence: "database", hears: ["OK", "done", "UNAVAILABLE"], isAboutDatabase: true),
    ]

    private struct Result: Decodable {
        var offence: String
        var answers: Int
        var failures: [String]
        var refusals: [String]
        var before: Double
        var beside: Double
        var said: [String: Int]
        var problem: String
        var limits: [String: Int]
        var ready: Int
    }

    private struct Config: Encodable {
        var gateway: Int
        var gatewayAdmin: Int
        var workers: [Int]
        var workerAdmins: [Int]
        var badWorker: Int
        var authority: String
        var certificates: [String: [String]]
        var honest = ["r0", "r1", "r2", "r3"]
        var request: String
        var poisoned: String
        var checkpoint: String
        var checkpoints: String
        var psql: String
    }

    /// Seconds of each offence.
    private static let seconds = 2.0
    /// An answer as fast as this is never late; two processors do all of it at once.
    private static let floor = 0.4

    private let folder: TemporaryDirectory
    private let authority: TestAuthority

    init() throws {
        folder = try TemporaryDirectory(prefix: "groot-rows")
        authority = try TestAuthority()
    }

    private func start(_ name: String, _ executable: String, _ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            name,
            executable: URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: executable),
            arguments: arguments,
            environment: TestRuntime.library.map { ["GROOT_ONNXRUNTIME": $0] } ?? [:],
            folder: folder.url
        )
    }

    private func tls(_ issued: TestAuthority.Issued) -> [String] {
        [
            "--tls-certificate", issued.certificate, "--tls-key", issued.key, "--tls-authority", authority.certificate,
        ]
    }

    @Test
    func `whatever one participant does, the others lose nothing`() async throws {
        let ports = try FreePorts.take(7)
        var issued: [String: TestAuthority.Issued] = [:]
        for (name, kind) in [
            ("r0", "robot"), ("r1", "robot"), ("r2", "robot"), ("r3", "robot"), ("bad", "robot"),
            ("operator", "operator"), ("gateway", "gateway"), ("w1", "worker"), ("w2", "worker"), ("w9", "worker"),
        ] {
            issued[name] = try authority.issue(name, uris: ["groot://\(kind)/\(name)"])
        }
        let checkpoint = TestRuntime.fixture("poisoned")
        let loadable = folder.url.appending(path: "checkpoints")
        try FileManager.default.createDirectory(at: loadable, withIntermediateDirectories: true)
        let state = folder.url.appending(path: "gateway").path
        let gateway = try start(
            "gateway",
            "groot-gateway",
            [
                // w2 joins by itself and has a lease to lose.
                "serve", "--workers", "127.0.0.1:\(ports[2]),127.0.0.1:\(ports[6])",
                "--listen", "127.0.0.1:\(ports[0])",
                "--admin", "127.0.0.1:\(ports[1])", "--state-dir", state, "--set", "lease-ms=3000",
                "--worker-tls-authority", authority.certificate,
            ] + tls(try #require(issued["gateway"]))
                + [
                    "robot-connections=5", "robot-streams=6", "robot-uploads=4", "telemetry-rows=100",
                    "telemetry-bytes=65536",
                ].flatMap { ["--set", $0] }
        )
        var workers: [ChildProcess] = []
        for (name, listen, admin, more) in [
            ("w1", ports[2], ports[3], ["--checkpoints", loadable.path]),
            ("w2", ports[4], ports[5], ["--gateway", "localhost:\(ports[0])"]),
        ] {
            workers.append(
                try start(
                    name,
                    "groot-worker",
                    [
                        "--checkpoint", checkpoint, "--max-batch", "4", "--listen", "127.0.0.1:\(listen)",
                        "--admin", "127.0.0.1:\(admin)",
                    ] + more + tls(try #require(issued[name]))
                )
            )
        }
        let request = folder.url.appending(path: "request")
        let poisoned = folder.url.appending(path: "poisoned")
        var message = Groot_V1_InferRequest.tiny(robot: "")
        try (message.serializedBytes() as Data).write(to: request)
        message.stateValues = [0, 200, 0]
        try (message.serializedBytes() as Data).write(to: poisoned)
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let config = folder.url.appending(path: "config.json")
        try encoder.encode(
            Config(
                gateway: ports[0],
                gatewayAdmin: ports[1],
                workers: [ports[2], ports[4]],
                workerAdmins: [ports[3], ports[5]],
                badWorker: ports[6],
                authority: authority.certificate,
                certificates: issued.mapValues { [$0.certificate, $0.key] },
                request: request.path,
                poisoned: poisoned.path,
                checkpoint: checkpoint,
                checkpoints: loadable.path,
                psql: state + "/psql"
            )
        ).write(to: config)
        try await eventually(within: .seconds(90), "both workers and the database are there: \(gateway.lastLines())") {
            let log = try gateway.logText()
            return log.components(separatedBy: "\"message\":\"serves\"").count > 2
                && FileManager.default.isExecutableFile(atPath: state + "/psql")
        }

        let honest = try ChildProcess(
            "honest",
            executable: URL(filePath: RepositoryRoot.python),
            arguments: [
                RepositoryRoot.url.appending(path: "Tests/Conformance/beside.py").path, config.path, "\(Self.seconds)",
            ] + Self.rows.map(\.offence),
            folder: folder.url
        )
        try await eventually(within: .seconds(240), "the robots end: \(honest.lastLines())") { !honest.isRunning }
        let results = try honest.outputLines().map { try JSONDecoder().decode(Result.self, from: Data($0.utf8)) }
        #expect(results.map(\.offence) == Self.rows.map(\.offence), "\(honest.lastLines())")
        for (row, result) in zip(Self.rows, results) { judge(row, result) }
        for process in workers + [gateway] { #expect(process.isRunning, "\(process.name): \(process.lastLines())") }
        let log = try gateway.logText()
        #expect(!log.contains("its lease ended"))
    }

    private func judge(_ row: Row, _ result: Result) {
        let what = row.offence
        print(
            "\(what): \(result.answers) answers, p99 \(result.before) s, then \(result.beside) s; told \(result.said); "
                + "limits \(result.limits)"
        )
        #expect(result.problem.isEmpty, "\(what)")
        #expect(result.answers > 20, "\(what)")
        #expect(result.failures.isEmpty, "\(what)")
        if !row.isAboutDatabase { #expect(result.refusals.isEmpty, "\(what)") }
        #expect(result.beside <= max(2 * result.before, Self.floor), "\(what): \(result.before) s before")
        #expect(!result.said.isEmpty, "\(what): it did nothing")
        if let hears = row.hears { #expect(Set(result.said.keys).isSubset(of: hears), "\(what): \(result.said)") }
        for limit in row.limits { #expect(result.limits[limit, default: 0] > 0, "\(what): \(limit) \(result.limits)") }
        #expect(result.ready == 200, "\(what): robots can use the gateway")
    }
}
