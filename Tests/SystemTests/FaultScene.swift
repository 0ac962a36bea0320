import Foundation
import GrootTesting
import Testing

/// One fleet whose agents run short episodes, one after the other, and everything that they said and left.
///
/// Owned by one test. Real gateway, worker, simulators, agents and PostgreSQL.
final class FaultScene {
    struct Report: Decodable {
        var episode: String
        var outcome: String
        var chunks: Int
        var durationS: Double
    }

    /// A cell: its simulator and the agents that ran in it, one at a time.
    final class Robot {
        let name: String
        let masterPort: Int
        let adminPort: Int
        let state: URL
        let simulator: ChildProcess
        fileprivate(set) var agents: [ChildProcess] = []
        /// Highest record number seen on disk right after an agent was killed, by boot.
        fileprivate var onDisk: [String: UInt64] = [:]

        fileprivate init(_ name: String, fleet: FleetFixture, state: URL) throws {
            let ports = try FreePorts.take(2)
            self.name = name
            masterPort = ports[0]
            adminPort = ports[1]
            self.state = state
            simulator = try fleet.start(
                "sim-\(name)",
                "groot-sim",
                ["--robot", name, "--master-port", "\(masterPort)"]
            )
        }

        var agent: ChildProcess? { agents.last }
        var spool: URL { state.appending(path: "spool") }
    }

    let fleet: FleetFixture
    private(set) var gateway: ChildProcess
    private(set) var worker: ChildProcess
    let robots: [Robot]
    private let gatewayEnvironment: [String: String]

    /// - Parameters:
    ///   - spools: folder in which agents keep their state; nil: the fixture's own.
    init(
        _ fleet: FleetFixture,
        robots names: [String] = ["r1"],
        spools: URL? = nil,
        gatewayEnvironment: [String: String] = [:]
    ) async throws {
        self.fleet = fleet
        self.gatewayEnvironment = gatewayEnvironment
        gateway = try fleet.startGateway(environment: gatewayEnvironment)
        worker = try fleet.startWorker(0)
        robots = try names.map { name in
            try Robot(name, fleet: fleet, state: (spools ?? fleet.folder.url).appending(path: "agent-\(name)"))
        }
        try await ready(gateway, fleet.gatewayAdmin)
        try await ready(worker, fleet.workerAdmins[0])
    }

    func ready(_ process: ChildProcess, _ port: Int) async throws {
        try await eventually(within: .seconds(90), "\(process.name) is ready: \(process.lastLines())") {
            await self.fleet.isReady(port: port)
        }
    }

    func startAgent(_ robot: Robot, _ more: [String] = [], environment: [String: String] = [:]) throws {
        let number = robot.agents.count + 1
        robot.agents.append(
            try fleet.start(
                "agent-\(robot.name)-\(number)",
                "groot-agent",
                [
                    "--robot", robot.name, "--task", "Depalletize the green box", "--seed", "\(1000 * number)",
                    "--episodes", "1000", "--episode-timeout", "3s",
                    "--gateway", "127.0.0.1:\(fleet.gatewayPort)",
                    "--ros-master", "http://127.0.0.1:\(robot.masterPort)",
                    "--admin", "127.0.0.1:\(robot.adminPort)",
                    "--state-dir", robot.state.path, "--json",
                ] + more,
                environment: environment
            )
        )
    }

    func killAgent(_ robot: Robot) throws {
        robot.agent?.kill()
        for (boot, numbers) in try SpoolSnapshot(directory: robot.spool, robot: robot.name).records {
            robot.onDisk[boot] = max(robot.onDisk[boot] ?? 0, numbers.max() ?? 0)
        }
    }

    func restartGateway() async throws {
        gateway = try fleet.startGateway(environment: gatewayEnvironment)
        try await ready(gateway, fleet.gatewayAdmin)
    }

    func restartWorker() async throws {
        worker = try fleet.startWorker(0)
        try await ready(worker, fleet.workerAdmins[0])
    }

    /// One byte of the details that a dead agent left is another one.
    ///
    /// - Parameter place: share of the largest file, 0 to 1.
    func damageSpool(of robot: Robot, at place: Double) throws {
        let files = try FileManager.default.contentsOfDirectory(
            at: robot.spool,
            includingPropertiesForKeys: [.fileSizeKey]
        ).filter { $0.lastPathComponent.contains(".details.") }
        let sized = try files.map { ($0, try $0.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0) }
        guard let (file, size) = sized.max(by: { $0.1 < $1.1 }), size > 0 else { return }
        var bytes = try Data(contentsOf: file)
        bytes[bytes.startIndex + Int(place * Double(size))] ^= 0x5A
        try bytes.write(to: file)
    }

    /// PostgreSQL's first process, as its own file names it.
    var postmaster: Int32? {
        let file = fleet.folder.url.appending(path: "gateway/postgres/data/postmaster.pid")
        // Between two of them there is none.
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first.flatMap { Int32($0) }.flatMap { postgres.contains($0) ? $0 : nil }
    }

    /// Server processes of the gateway's database.
    var postgres: [Int32] {
        let data = fleet.folder.url.appending(path: "gateway/postgres/data").resolvingSymlinksInPath().path
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.compactMap(Int32.init).filter { id in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(id)/cwd")) == data
        }
    }

    /// Records that wait on a robot's disk.
    func waiting(_ robot: Robot) throws -> Int {
        try SpoolSnapshot(directory: robot.spool, robot: robot.name).records.values.reduce(0) { $0 + $1.count }
    }

    /// What a robot's agents printed about finished episodes.
    func reports(_ robot: Robot) throws -> [Report] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try robot.agents.flatMap { agent in
            try agent.outputLines().filter { $0.hasPrefix("{") && $0.hasSuffix("}") }
                .map { try decoder.decode(Report.self, from: Data($0.utf8)) }
        }
    }

    /// Waits for so many more episodes of every robot.
    func finished(_ count: Int, within limit: Duration) async throws {
        for robot in robots {
            let target = try reports(robot).count + count
            try await eventually(within: limit, "\(count) more episodes: \(robot.agent?.lastLines() ?? "")") {
                try self.reports(robot).count >= target
            }
        }
    }

    /// Ends the agents in peace and compares what they said and left with the database.
    ///
    /// - Parameters:
    ///   - mayLose: details may have been given up; then every one of them is counted.
    ///   - mayDamage: details on disk may have been damaged; then every one of them is counted.
    func account(mayLose: Bool = false, mayDamage: Bool = false) async throws {
        for robot in robots { robot.agent?.terminate() }
        for robot in robots {
            let last = robot.agent
            try await eventually(within: .seconds(90), "the agent ends: \(last?.lastLines() ?? "")") {
                last?.isRunning != true
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: robot.spool.path)
            #expect(left.isEmpty, "everything was acknowledged")
            try accountRecords(of: robot, mayLose: mayLose, mayDamage: mayDamage)
            try accountEpisodes(of: robot, mayLose: mayLose || mayDamage)
        }
        #expect(
            try fleet.query("SELECT count(*) FROM episodes WHERE outcome IS NOT NULL AND started_at IS NULL") == ["0"]
        )
    }

    /// Of every boot 1, 2, 3 ... each in exactly one row, without a gap but what was given up and counted.
    private func accountRecords(of robot: Robot, mayLose: Bool, mayDamage: Bool) throws {
        let boots = try fleet.query(
            """
            SELECT b.boot, upper(b.committed) - 1,
                (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(b.committed) AS r),
                b.dropped_inferences + b.dropped_control_samples + b.dropped_events,
                b.dropped_episodes + b.refused_records, b.damaged_records,
                count(a.sequence), count(DISTINCT a.sequence)
            FROM telemetry_boots AS b LEFT JOIN (
                SELECT robot, boot, sequence FROM inferences UNION ALL SELECT robot, boot, sequence FROM control_samples
                UNION ALL SELECT robot, boot, sequence FROM events
            ) AS a USING (robot, boot)
            WHERE b.robot = '\(robot.name)' GROUP BY b.robot, b.boot, b.committed
            """
        ).map { $0.split(separator: "|").map(String.init) }
        #expect(!boots.isEmpty)
        var gaps = 0
        var dropped = 0
        for boot in boots {
            let numbers = boot[1...].map { Int($0) ?? -1 }
            #expect(numbers[5] == numbers[1] && numbers[6] == numbers[1], "each committed record once in \(boot)")
            #expect(numbers[3] == 0, "no episode was given up, nothing refused in \(boot)")
            if !mayDamage { #expect(numbers[4] == 0, "nothing damaged in \(boot)") }
            gaps += numbers[0] - numbers[1]
            dropped += numbers[2] + numbers[4]
            if !mayLose, numbers[4] == 0 {
                #expect(numbers[0] == numbers[1] && numbers[2] == 0, "no gap in \(boot)")
            }
        }
        // What found no room at all was counted before it got a number.
        #expect(gaps <= dropped, "what is missing was given up and counted")
        for (boot, number) in robot.onDisk {
            let row = boots.first { $0[0] == boot }
            let committed = row.flatMap { UInt64($0[1]) } ?? 0
            let lost = row.map { (UInt64($0[3]) ?? 0) + (UInt64($0[5]) ?? 0) } ?? 0
            #expect(committed + lost >= number, "what was on disk when \(boot) was killed is there")
        }
    }

    /// Each episode that was reported is there once, as reported, with all its inferences.
    private func accountEpisodes(of robot: Robot, mayLose: Bool) throws {
        let reports = try reports(robot)
        #expect(!reports.isEmpty)
        for report in reports {
            let found = try fleet.query(
                """
                SELECT outcome, chunks, \(mayLose ? "''" : "recorded_chunks"), count(*) OVER () FROM episode_metrics
                WHERE episode_id = '\(report.episode)'
                """
            )
            #expect(found == ["\(report.outcome)|\(report.chunks)|\(mayLose ? "" : "\(report.chunks)")|1"], "\(report)")
        }
    }
}
