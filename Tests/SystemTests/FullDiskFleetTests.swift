import Foundation
import FoundationNetworking
import GrootTesting
import Testing

/// A disk without room, under the robots' spools and under the database, while a fleet works.
@Suite(.serialized)
struct FullDiskFleetSerialTests {
    /// One value of an agent's `/metrics`.
    private func metric(_ scene: FaultScene, _ robot: FaultScene.Robot, _ name: String, kind: String? = nil)
        async -> Double
    {
        let labels = (kind.map { "kind=\"\($0)\"," } ?? "") + "robot=\"\(robot.name)\""
        let text = await scene.fleet.get(port: robot.adminPort, "/metrics") ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("\(name){\(labels)} ") }
            .flatMap { $0.split(separator: " ").last }.flatMap { Double($0) } ?? 0
    }

    /// Everything that waited is sent, and robots still work.
    private func caughtUp(_ scene: FaultScene) async throws {
        try await scene.finished(1, within: .seconds(60))
        for robot in scene.robots {
            try await eventually(within: .seconds(60), "\(robot.name) catches up: \(robot.agent?.lastLines() ?? "")") {
                // What is happening right now waits a moment for company.
                await metric(scene, robot, "groot_agent_spool_waiting") < 20
            }
        }
    }

    @Test(.enabled(if: SmallDisk.mayMount, "this process may not mount file systems"), .timeLimit(.minutes(6)))
    func aFullDiskUnderTheSpoolsCostsTheOldestDetailsAndNoEpisode() async throws {
        let fleet = try FleetFixture()
        let disk = try #require(try SmallDisk(fleet.folder.url.appending(path: "robots"), megabytes: 4))
        let scene = try await FaultScene(fleet, robots: ["r1", "r2"], spools: disk.folder)
        let recordings = fleet.folder.url.appending(path: "recordings").path
        for robot in scene.robots {
            try scene.startAgent(robot, ["--record", recordings, "--thumbnail-interval", "500ms"])
        }
        try await scene.finished(1, within: .seconds(120))
        // The database hangs: everything stays on the robots, and something else takes all room on their disk.
        let stopped = scene.postgres
        for id in stopped { kill(id, SIGSTOP) }
        for robot in scene.robots {
            try await eventually(within: .seconds(120), "\(robot.name) gives up thumbnails, then details") {
                // What the spools give up is taken at once, too.
                try disk.fill(leaving: 0)
                let thumbnails = await metric(scene, robot, "groot_agent_spool_lost_total", kind: "thumbnail")
                let inferences = await metric(scene, robot, "groot_agent_spool_lost_total", kind: "inference")
                return thumbnails > 0 && inferences > 0
            }
        }
        // Robots go on all the same, and no episode is given up.
        try await scene.finished(2, within: .seconds(60))
        for robot in scene.robots {
            let episodes = await metric(scene, robot, "groot_agent_spool_lost_total", kind: "episode")
            #expect(episodes == 0)
            #expect(try robot.agent?.logText().contains("the spool cannot keep everything") == true)
        }
        try disk.makeRoom()
        for id in stopped { kill(id, SIGCONT) }
        try await scene.ready(scene.gateway, fleet.gatewayAdmin)
        try await caughtUp(scene)
        try await scene.account(mayLose: true)
        let counted = try fleet.query(
            """
            SELECT robot, sum(dropped_thumbnails) > 0, sum(dropped_inferences) > 0,
                (SELECT count(*) > 0 AND count(*) = count(DISTINCT (t.boot, t.sequence)) FROM thumbnails AS t
                    WHERE t.robot = b.robot)
            FROM telemetry_boots AS b GROUP BY robot ORDER BY robot
            """
        )
        #expect(counted == ["r1|t|t|t", "r2|t|t|t"], "the database knows what is missing, and what came is there once")
        try await lookAtThumbnails(scene)
    }

    private struct Listed: Decodable {
        var camera: String
        var atMs: Int
        var url: String
    }

    /// What the dashboard shows of the first recorded episode.
    private func lookAtThumbnails(_ scene: FaultScene) async throws {
        let report = try #require(try scene.reports(scene.robots[0]).first)
        let path = "/api/episodes/\(report.episode)/thumbnails"
        let text = try #require(await scene.fleet.get(port: scene.fleet.gatewayAdmin, path))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let listed = try decoder.decode([Listed].self, from: Data(text.utf8))
        #expect(Set(listed.map(\.camera)).count >= 2, "\(text)")
        #expect(listed.allSatisfy { (-2000...30_000).contains($0.atMs) }, "\(text)")
        for picture in listed.prefix(3) {
            let url = try #require(URL(string: "http://127.0.0.1:\(scene.fleet.gatewayAdmin)\(picture.url)"))
            let (data, response) = try await URLSession.shared.data(from: url)
            let answer = try #require(response as? HTTPURLResponse)
            #expect(answer.statusCode == 200 && answer.value(forHTTPHeaderField: "Content-Type") == "image/jpeg")
            #expect(data.starts(with: [0xFF, 0xD8, 0xFF]) && data.count <= 32 * 1024)
        }
        for missing in ["\(path)/999999", "\(path)/x", "/api/episodes/x/thumbnails"] {
            #expect(await scene.fleet.get(port: scene.fleet.gatewayAdmin, missing) == nil, "\(missing)")
        }
    }

    @Test(.enabled(if: SmallDisk.mayMount, "this process may not mount file systems"), .timeLimit(.minutes(6)))
    func aFullDiskUnderTheDatabaseStopsNoRobotAndLosesNothing() async throws {
        let fleet = try FleetFixture()
        let disk = try #require(try SmallDisk(fleet.folder.url.appending(path: "database"), megabytes: 192))
        // Where the gateway keeps its database.
        try FileManager.default.createSymbolicLink(
            at: fleet.folder.url.appending(path: "gateway"),
            withDestinationURL: disk.folder.appending(path: "gateway")
        )
        try FileManager.default.createDirectory(
            at: disk.folder.appending(path: "gateway"),
            withIntermediateDirectories: true
        )
        let scene = try await FaultScene(fleet, robots: ["r1", "r2"])
        for robot in scene.robots { try scene.startAgent(robot) }
        try await scene.finished(1, within: .seconds(120))
        try disk.fill(leaving: 0)
        for robot in scene.robots {
            try await eventually(within: .seconds(120), "\(robot.name) keeps its records") {
                try scene.waiting(robot) > 20
            }
        }
        try await scene.finished(2, within: .seconds(60))
        #expect(scene.gateway.isRunning, "\(scene.gateway.lastLines())")
        try disk.makeRoom()
        try await scene.ready(scene.gateway, fleet.gatewayAdmin)
        try await caughtUp(scene)
        try await scene.account()
    }
}
