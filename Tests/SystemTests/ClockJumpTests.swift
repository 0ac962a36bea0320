import Foundation
import GrootTesting
import Testing

/// Somebody sets the clock of a robot's computer, or of the gateway's, by hours while everything runs.
@Suite(.serialized)
struct ClockJumpSerialTests {
    /// A library in front of libc that adds the seconds in a file to the wall clock; see its source.
    private func clock(in folder: URL, _ name: String) throws -> (environment: [String: String], file: URL) {
        let library = folder.appending(path: "clock_jump.so")
        if !FileManager.default.fileExists(atPath: library.path) {
            let compiler = Process()
            compiler.executableURL = URL(filePath: "/usr/bin/env")
            let source = FleetFixture.root.appending(path: "Tests/SystemTests/Fixtures/clock_jump.c").path
            compiler.arguments = ["clang", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library.path, source]
            try compiler.run()
            compiler.waitUntilExit()
            try #require(compiler.terminationStatus == 0, "clang, which is part of the Swift toolchain, compiles it")
        }
        let file = folder.appending(path: name)
        try Data("0".utf8).write(to: file)
        return (["LD_PRELOAD": library.path, "GROOT_TEST_CLOCK_OFFSET": file.path], file)
    }

    /// In place, so that nobody reads a file that is not there.
    private func jump(_ file: URL, by seconds: Int) throws {
        let handle = try FileHandle(forWritingTo: file)
        try handle.write(contentsOf: Data("\(seconds)".padding(toLength: 12, withPad: " ", startingAt: 0).utf8))
        try handle.close()
    }

    /// A computer without a battery and without the network's time, and one that somebody set to the year 2205: the episode
    /// is stored as it was, at the time of its receipt, and says so.
    @Test(.timeLimit(.minutes(4)), arguments: [90_000 - Int(Date().timeIntervalSince1970), 5_650_000_000])
    func aRobotWithoutAClockLosesNothing(_ offset: Int) async throws {
        let fleet = try FleetFixture()
        let agent = try clock(in: fleet.folder.url, "agent-clock")
        try jump(agent.file, by: offset)
        let scene = try await FaultScene(fleet)
        try scene.startAgent(scene.robots[0], environment: agent.environment)
        try await scene.finished(1, within: .seconds(90))
        try await scene.account()
        let stored = try fleet.query(
            """
            SELECT bool_and(outcome IS NOT NULL), bool_and(clock_corrected),
                bool_and(abs(extract(epoch FROM now() - started_at)) < 3600)
            FROM episodes
            UNION ALL
            SELECT count(*) > 0, bool_and(clock_corrected), bool_and(abs(extract(epoch FROM now() - captured_at)) < 3600)
            FROM inferences
            UNION ALL
            SELECT (SELECT count(*) FROM quarantine) = 0, sum(refused_records) = 0, sum(dropped_episodes) = 0
            FROM telemetry_boots
            """
        )
        #expect(stored == ["t|t|t", "t|t|t", "t|t|t"])
    }

    @Test(.timeLimit(.minutes(6)))
    func clocksThatJumpChangeNoDurationAndLoseNothing() async throws {
        let fleet = try FleetFixture()
        // The database runs on the gateway's computer and has its clock.
        let gateway = try clock(in: fleet.folder.url, "gateway-clock")
        let agent = try clock(in: fleet.folder.url, "agent-clock")
        let scene = try await FaultScene(fleet, gatewayEnvironment: gateway.environment)
        try scene.startAgent(scene.robots[0], environment: agent.environment)
        try await scene.finished(1, within: .seconds(90))
        for (agentHours, gatewayHours) in [(-960, 0), (48, 0), (48, 7), (48, -30), (0, 0)] {
            try jump(agent.file, by: agentHours * 3600)
            try jump(gateway.file, by: gatewayHours * 3600)
            try await scene.finished(2, within: .seconds(90))
        }
        try await scene.ready(scene.gateway, fleet.gatewayAdmin)
        try await scene.account()
        // The last one was ended from outside.
        let odd = try scene.reports(scene.robots[0]).filter {
            $0.outcome != "aborted" && !(0.1...30).contains($0.durationS)
        }
        #expect(odd.isEmpty, "\(odd)")
        let jumped = try fleet.query(
            """
            SELECT max(captured_at) - min(captured_at) > interval '40 days',
                max(recorded_at) - min(recorded_at) > interval '30 hours',
                max(latency_ns) < 10e9 AND min(latency_ns) > 0 AND max(round_trip_ns) < 10e9
            FROM inferences WHERE status = 'OK'
            """
        )
        #expect(jumped == ["t|t|t"], "the clocks did jump, and no time that was measured noticed")
        // The order in which things happened is in the numbers, whatever the clocks said.
        let disorder = try fleet.query(
            """
            SELECT count(*) FROM (
                SELECT observation_index - lag(observation_index) OVER (PARTITION BY episode_id ORDER BY sequence) AS step
                FROM inferences
            ) AS s WHERE step <= 0
            """
        )
        #expect(disorder == ["0"])
    }
}
