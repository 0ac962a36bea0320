import Foundation
import GrootTesting
import Testing

/// Real gateway, worker, simulator, agent and PostgreSQL; things are killed or stopped, and
/// afterwards every episode and every inference is there exactly once.
@Suite(.serialized)
struct TelemetryFaultSerialTests {
    private struct Report: Decodable {
        var episode: String
        var outcome: String
        var chunks: Int
        var durationS: Double
    }

    /// One fleet whose agents run short episodes, one after the other, and everything that they said and left.
    private final class Scene {
        let fleet: FleetFixture
        var gateway: ChildProcess
        let worker: ChildProcess
        let simulator: ChildProcess
        var agents: [ChildProcess] = []
        /// Highest record number seen on disk right after an agent was killed, by boot.
        var onDisk: [String: UInt64] = [:]
        private var starts = 0

        init() async throws {
            fleet = try FleetFixture()
            gateway = try fleet.startGateway()
            worker = try fleet.startWorker(0)
            simulator = try fleet.startSimulator()
            try await ready(gateway, fleet.gatewayAdmin)
            try await ready(worker, fleet.workerAdmins[0])
        }

        var spool: URL { fleet.folder.url.appending(path: "agent/spool") }
        var agent: ChildProcess? { agents.last }

        func ready(_ process: ChildProcess, _ port: Int) async throws {
            try await eventually(within: .seconds(90), "\(process.name) is ready: \(process.lastLines())") {
                await self.fleet.get(port: port, "/readyz") != nil
            }
        }

        func startAgent(environment: [String: String] = [:]) throws {
            starts += 1
            agents.append(
                try ChildProcess(
                    "agent-\(starts)",
                    executable: FleetFixture.binaries.appending(path: "groot-agent"),
                    arguments: [
                        "--robot", "r1", "--task", "Depalletize the green box", "--seed", "\(1000 * starts)",
                        "--episodes", "1000", "--episode-timeout", "3s",
                        "--gateway", "127.0.0.1:\(fleet.gatewayPort)",
                        "--ros-master", "http://127.0.0.1:\(fleet.masterPort)",
                        "--state-dir", fleet.folder.url.appending(path: "agent").path, "--json",
                    ],
                    environment: environment,
                    folder: fleet.folder.url
                )
            )
        }

        func killAgent() throws {
            agent?.kill()
            for (boot, numbers) in try SpoolSnapshot(directory: spool, robot: "r1").records {
                onDisk[boot] = max(onDisk[boot] ?? 0, numbers.max() ?? 0)
            }
        }

        func restartGateway() async throws {
            gateway = try fleet.startGateway()
            try await ready(gateway, fleet.gatewayAdmin)
        }

        /// Server processes of the gateway's database.
        var postgres: [Int32] {
            let data = fleet.folder.url.appending(path: "gateway/postgres/data").resolvingSymlinksInPath().path
            let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
            return processes.compactMap(Int32.init).filter { id in
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/cwd")) == data
            }
        }

        /// What agents printed about finished episodes.
        func reports() throws -> [Report] {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try agents.flatMap { agent in
                try agent.standardOutput().split(separator: "\n").filter { $0.hasPrefix("{") && $0.hasSuffix("}") }
                    .map { try decoder.decode(Report.self, from: Data($0.utf8)) }
            }
        }

        func finished(_ count: Int, within limit: Duration) async throws {
            let target = try reports().count + count
            try await eventually(within: limit, "\(count) more episodes: \(agent?.lastLines() ?? "")") {
                try self.reports().count >= target
            }
        }

        /// Ends the agent in peace and compares what it said and left with the database.
        func account() async throws {
            agent?.terminate()
            let last = agent
            try await eventually(within: .seconds(60), "the agent ends: \(last?.lastLines() ?? "")") {
                last?.isRunning != true
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: spool.path)
            #expect(left.isEmpty, "everything was acknowledged")

            // Records: of every boot 1, 2, 3 ... without a gap, each in exactly one row.
            let boots = try fleet.query(
                """
                SELECT boot, committed, upper(committed) - 1, dropped_inferences + dropped_control_samples + dropped_events
                    + dropped_episodes + damaged_records + refused_records
                FROM telemetry_boots WHERE robot = 'r1'
                """
            ).map { $0.split(separator: "|").map(String.init) }
            #expect(!boots.isEmpty)
            let rows = try fleet.query(
                """
                SELECT boot, count(*), count(DISTINCT sequence) FROM (
                    SELECT boot, sequence FROM inferences UNION ALL SELECT boot, sequence FROM control_samples
                    UNION ALL SELECT boot, sequence FROM events
                ) AS all_records GROUP BY boot
                """
            ).map { $0.split(separator: "|").map(String.init) }
            let counts = Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1...].joined(separator: "|")) })
            for boot in boots where boot.count == 4 {
                #expect(boot[1] == "{[1,\((UInt64(boot[2]) ?? 0) + 1))}", "no gap in \(boot)")
                #expect(counts[boot[0]] == "\(boot[2])|\(boot[2])", "each once in \(boot)")
                #expect(boot[3] == "0", "nothing was given up in \(boot)")
            }
            for (boot, number) in onDisk {
                let committed = boots.first { $0[0] == boot }.flatMap { UInt64($0[2]) } ?? 0
                #expect(committed >= number, "what was on disk when \(boot) was killed is there")
            }

            // Episodes: each that was reported is there once, as reported, with all its inferences.
            for report in try reports() {
                let found = try fleet.query(
                    """
                    SELECT outcome, chunks, recorded_chunks, count(*) OVER () FROM episode_metrics
                    WHERE episode_id = '\(report.episode)'
                    """
                )
                #expect(found == ["\(report.outcome)|\(report.chunks)|\(report.chunks)|1"], "\(report)")
            }
            #expect(
                try fleet.query("SELECT count(*) FROM episodes WHERE outcome IS NOT NULL AND started_at IS NULL") == [
                    "0"
                ]
            )
        }
    }

    private static let rounds = ProcessInfo.processInfo.environment["ROUNDS"].flatMap(Int.init) ?? 3
    private static let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? 7

    @Test(.timeLimit(.minutes(60)))
    func killingAnythingAtAnyMomentLosesAndDoublesNothing() async throws {
        let scene = try await Scene()
        try scene.startAgent()
        try await scene.finished(1, within: .seconds(90))
        var random = Seeded(state: Self.seed)
        for round in 0..<Self.rounds {
            // Every kind in turn, at a random moment.
            try await Task.sleep(for: .milliseconds(Int.random(in: 50...4000, using: &random)))
            switch round % 3 {
            case 0:
                try scene.killAgent()
                try scene.startAgent()
            case 1:
                for id in scene.postgres.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)) {
                    kill(id, SIGKILL)
                }
            default:
                scene.gateway.kill()
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...1500, using: &random)))
                try await scene.restartGateway()
            }
            if scene.agent?.isRunning != true { try scene.startAgent() }
            try await scene.finished(1, within: .seconds(120))
        }
        try await scene.ready(scene.gateway, scene.fleet.gatewayAdmin)
        try await scene.account()
    }

    @Test(.timeLimit(.minutes(5)))
    func aDatabaseThatHangsStopsNoRobotAndCatchesUp() async throws {
        let scene = try await Scene()
        try scene.startAgent()
        try await scene.finished(1, within: .seconds(90))
        let stopped = scene.postgres
        #expect(!stopped.isEmpty)
        for id in stopped { kill(id, SIGSTOP) }
        // Robots go on without it.
        try await scene.finished(3, within: .seconds(90))
        let waiting = try SpoolSnapshot(directory: scene.spool, robot: "r1").records.values.reduce(0) { $0 + $1.count }
        #expect(waiting > 0, "records wait on disk meanwhile")
        for id in stopped { kill(id, SIGCONT) }
        try await scene.ready(scene.gateway, scene.fleet.gatewayAdmin)
        try await scene.account()
    }
}

/// SplitMix64: the same seed kills the same things.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
